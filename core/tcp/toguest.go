package tcp

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

// turnLen is how many bytes one connection may send to the guest in one turn of
// the loop, so that others get theirs.
const turnLen = 4 * peekLen

// mayTransmit tells whether there is anything to send, now or again.
func (h *Handler) mayTransmit(c *conn) bool {
	return c.has(readable) && c.state.sendsData() || c.behind() && c.state.synchronized()
}

// toGuest sends the guest what its window allows of what the host socket has. False
// if the connection is gone.
func (h *Handler) toGuest(i uint32, c *conn) bool {
	for sent := 0; sent < turnLen; {
		room := h.sendRoom(c)
		if c.state.sentFIN() {
			if c.sndNxt == c.dataEnd() {
				return h.resendFIN(i, c)
			}
			room = min(room, int(c.dataEnd()-c.sndNxt))
		}
		if room <= 0 {
			c.set(bulk)
			return !c.has(hostErr) || h.lookAhead(i, c)
		}
		b, errno := h.peek(c, min(room, peekLen))
		if errno != 0 {
			c.clear(readable)
			return h.peekFailed(i, c, errno)
		}
		if len(b) == 0 {
			c.clear(readable)
			if c.state.sendsData() && !c.has(hostErr) {
				h.sendFIN(i, c)
			}
			return true
		}
		if len(b) < room && len(b) < peekLen && !c.has(hostEOF|urgent) {
			// Less than asked for: the queue is empty, and the kernel reports the
			// next arrival. With an end of file behind the data it need not.
			c.clear(readable)
		}
		if len(b) >= discardLen || c.has(readable) {
			c.set(bulk)
		}
		if !h.sendData(i, c, b) || !h.mayTransmit(c) {
			return true
		}
		sent += len(b)
	}
	h.postpone(i, c)
	return true
}

// postpone puts connection i into the backlog.
func (h *Handler) postpone(i uint32, c *conn) {
	if !c.has(queued) {
		c.set(queued)
		h.backlog = append(h.backlog, i)
	}
}

// sendRoom is how many bytes may be sent now. It keeps clear of silly windows (RFC
// 9293 section 3.8.6.2.1): a piece smaller than a segment waits for the
// window to open, as long as an acknowledgment is sure to come.
func (h *Handler) sendRoom(c *conn) int {
	wnd := min(c.sndWnd, c.cwnd, h.inFlightLimit())
	inFlight := c.inFlight()
	if inFlight >= wnd {
		return 0
	}
	room := wnd - inFlight
	if room < uint32(c.mss) && inFlight > 0 && room < c.maxWnd/2 {
		return 0
	}
	return int(room)
}

// inFlightLimit bounds unacknowledged data, more tightly where all of it has to be
// skipped at each peek.
func (h *Handler) inFlightLimit() uint32 {
	if h.skipLen > 0 {
		return uint32(h.skipLen)
	}
	return maxInFlight
}

// peek reads at most n bytes that follow what is in flight, without taking them
// off the socket.
func (h *Handler) peek(c *conn, n int) ([]byte, syscall.Errno) {
	off := c.inFlight() + c.acked
	buf := h.peekBuf[h.skipLen : h.skipLen+n]
	if h.skipLen > 0 {
		return h.peekSkipping(c, int(off), n)
	}
	if c.peekOff != off {
		if errno := sys.SetPeekOff(c.fd32(), int(off)); errno != 0 {
			return nil, errno
		}
		c.peekOff = off
	}
	got, errno := sys.Recv(c.fd32(), buf, sys.MsgPeek|sys.MsgDontwait)
	if errno != 0 {
		return nil, errno
	}
	c.peekOff += uint32(got)
	return buf[:got], 0
}

// lookAhead finds out whether a failed host socket has anything that waits for the
// guest's window. False if the connection is gone.
func (h *Handler) lookAhead(i uint32, c *conn) bool {
	b, errno := h.peek(c, 1)
	if len(b) == 0 {
		c.clear(readable)
	}
	return h.peekFailed(i, c, errno)
}

// peekFailed ends the connection unless errno is one that passes, or none. False
// if it is gone.
func (h *Handler) peekFailed(i uint32, c *conn, errno syscall.Errno) bool {
	if errno == 0 || tryAgain(errno) {
		return true
	}
	h.hostFailed(i, c, errno)
	return false
}

// peekSkipping is peek for kernels before 6.9: the bytes in flight are copied too.
func (h *Handler) peekSkipping(c *conn, off, n int) ([]byte, syscall.Errno) {
	if off > h.skipLen {
		return nil, syscall.EAGAIN
	}
	buf := h.peekBuf[:off+n]
	got, errno := sys.Recv(c.fd32(), buf, sys.MsgPeek|sys.MsgDontwait)
	if errno != 0 {
		return nil, errno
	}
	if got <= off && got > 0 && (!c.has(hostEOF) || c.has(urgent)) {
		return nil, syscall.EAGAIN // behind an urgent mark: once that comes first
	}
	return buf[min(off, got):got], 0
}

// sendData sends b, the data at SndNxt, in (super-)segments. False if the link took
// less: the rest stays on the socket for later.
func (h *Handler) sendData(i uint32, c *conn, b []byte) bool {
	if h.now-c.lastData < interactiveWithin {
		c.set(interactive)
	}
	frame := frameLen(c, h.table.Key(i).Guest.Is4())
	for len(b) > 0 {
		part := b[:min(frame, len(b))]
		flags := uint8(packet.ACK)
		if len(part) == len(b) {
			flags |= packet.PSH
		}
		n, errno := h.send(i, c, flags, c.sndNxt, part)
		h.sentTo(c, c.sndNxt.Add(seqnum.Size(n)))
		if errno != 0 {
			c.set(readable) // the rest is still there
			h.linkRefused(i, c)
			return false
		}
		b = b[n:]
	}
	c.lastActive = h.now
	return true
}

// sentTo moves SndNxt and starts what depends on it.
func (h *Handler) sentTo(c *conn, nxt seqnum.Value) {
	if nxt == c.sndNxt {
		return
	}
	fresh := c.sndMax.LessThan(nxt)
	c.sndNxt = nxt
	if !fresh {
		return
	}
	c.sndMax = nxt
	if !c.has(timing) && !c.has(recovering) {
		c.set(timing)
		c.rttSeq, c.rttAt = nxt, h.now
	}
	if c.rtxAt == 0 {
		c.rtxAt, c.rtxSince = h.now+h.rto(c), h.now
	}
}

// sendFIN tells the guest that the remote end has shut down, after all its data.
func (h *Handler) sendFIN(i uint32, c *conn) {
	if _, errno := h.send(i, c, packet.FIN|packet.ACK, c.sndNxt, nil); errno != 0 {
		c.set(readable)
		h.linkRefused(i, c)
		return
	}
	if c.state == established {
		c.state = finWait1
	} else {
		c.state = lastAck
	}
	h.sentTo(c, c.sndNxt+1)
	c.lastActive = h.now
}

// resendFIN sends our FIN again behind the data that was.
func (h *Handler) resendFIN(i uint32, c *conn) bool {
	if c.behind() {
		_, _ = h.send(i, c, packet.FIN|packet.ACK, c.sndNxt, nil)
		c.sndNxt = c.sndMax
	}
	return true
}

// linkRefused comes back by timer when the link is full or down, if LinkReady is not
// called before.
func (h *Handler) linkRefused(i uint32, c *conn) {
	c.set(linkFull)
	c.rtxAt = h.linkRetryAt()
	h.schedule(i, c)
	if !c.has(stalled) && len(h.stalled) < maxStalled {
		c.set(stalled)
		h.stalled = append(h.stalled, i)
	}
}

// LinkReady goes on with connections that the link refused: it has room again. Flush
// has to follow.
func (h *Handler) LinkReady(now int64) {
	h.now, h.linkDelay = now, 0
	for _, i := range h.stalled {
		c := &h.conns[i]
		if !c.has(stalled) { // its slot was freed
			continue
		}
		c.clear(stalled)
		if c.has(linkFull) {
			h.retransmitTime(i, c)
		}
	}
	h.stalled = h.stalled[:0]
}

// linkRetryAt is when to try the link again that has just refused a segment. It
// counts turns of the loop with refusals, not connections.
func (h *Handler) linkRetryAt() int64 {
	if h.refusedAt != h.now || h.linkDelay == 0 {
		h.refusedAt = h.now
		h.linkDelay = min(max(2*h.linkDelay, linkRetry), linkRetryMax)
	}
	return h.now + h.linkDelay
}

// discardLen is how many acknowledged bytes may stay on the host socket of an interactive
// connection, to save it a system call per round. After discardRuns batches they go as soon
// as there is nothing to send. After more than a few bytes nothing may stay: the
// kernel opens a closed receive window only when its last buffer is read.
const (
	discardLen  = 16 << 10
	discardRuns = 8
	// discardWithin is how long they may stay: a small receive buffer may be closed by
	// them, and nothing else would then happen on the connection.
	discardWithin = int64(20 * time.Millisecond)
	// discardLazily is how many bytes may stay until something else happens, where receive
	// buffers are of ampleBuffer bytes or more. The kernel can put them into one buffer
	// whatever they came in (tcp_collapse), so that they do not close the window.
	discardLazily = 256
	ampleBuffer   = 64 << 10
)

// lazyDiscard is discardLazily if new sockets have ample receive buffers, else 0.
func lazyDiscard() uint32 {
	fd, errno := sys.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if errno != 0 {
		return 0
	}
	defer sys.Close(fd)
	if size, errno := sys.GetInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF); errno != 0 || size < ampleBuffer {
		return 0
	}
	return discardLazily
}

// discardDue tells whether acknowledged bytes are to be taken off the host socket. What can
// wait does so until the guest need not wait for it: for a turn with nothing to send.
func (h *Handler) discardDue(c *conn) bool {
	if c.acked == 0 {
		return false
	}
	c.deferred = min(c.deferred+1, discardRuns)
	if c.discardAt == 0 && c.acked > h.lazyLen {
		c.discardAt = h.now + discardWithin
	}
	return c.acked >= discardLen || c.deferred >= discardRuns && !c.has(readable) || c.sndUna != c.sndMax ||
		h.skipLen > 0 || c.has(bulk|urgent|hostEOF)
}

// discard takes what the guest has acknowledged off the host socket. False if
// the connection is gone.
func (h *Handler) discard(i uint32, c *conn) bool {
	c.deferred, c.discardAt = 0, 0
	if !c.has(readable) && c.sndUna == c.sndMax {
		c.clear(bulk)
	}
	for c.acked > 0 { // once, unless there is an urgent mark
		n, errno := sys.Discard(c.fd32(), int(c.acked))
		if errno != 0 || n == 0 {
			return h.peekFailed(i, c, errno)
		}
		c.acked -= min(c.acked, uint32(n))
		c.peekOff -= min(c.peekOff, uint32(n))
	}
	if c.has(urgent) {
		c.set(readable)
	}
	return true
}
