package tcp

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// timeWaitFor is how long a connection that we closed first stays, to answer a
// FIN sent again: long enough for four retransmissions of a Linux guest (after 0.2,
// 0.4, 0.8 and 1.6 s). Far below 2 MSL of RFC 9293 section 3.4.2: on this link a
// segment cannot be under way for longer, and slots are few.
const timeWaitFor = int64(3 * time.Second)

// fd32 is the host socket.
func (c *conn) fd32() int { return int(c.fd) }

// hostFailed ends a connection whose host socket has failed: the guest gets RST.
func (h *Handler) hostFailed(i uint32, c *conn, errno syscall.Errno) {
	h.Stats.ResetByHost++
	h.log.Debug("host socket failed", "flow", i, "err", errno)
	h.reset(i, c)
}

// hostStands looks at a host socket that reported an error, after the guest was sent
// all that came before. False: it has failed, and the connection is gone.
func (h *Handler) hostStands(i uint32, c *conn) bool {
	c.clear(hostErr)
	// The write that failed has consumed the socket's error.
	if errno := sys.SocketError(c.fd32()); errno != 0 || c.has(writeFailed) {
		h.hostFailed(i, c, errno)
		return false
	}
	c.set(readable) // an end of file was left for this
	h.touch(i, c)
	return true
}

// reset tells the guest and ends the connection on the host side too.
func (h *Handler) reset(i uint32, c *conn) {
	switch c.state {
	case connecting, timeWait: // there is nothing to reset
	case synSent:
		h.sendControl(h.table.Key(i), packet.RST, c.sndMax, 0)
	default:
		h.sendControl(h.table.Key(i), packet.RST|packet.ACK, c.emptySeq(), c.lastAck)
	}
	h.abort(i, c)
}

// abort ends a connection with RST on the host side, none to the guest.
func (h *Handler) abort(i uint32, c *conn) {
	if c.fd >= 0 {
		resetClose(c.fd32())
		c.fd = -1
	}
	h.release(i, c)
}

// resetClose closes a TCP socket with RST.
func resetClose(fd int) {
	_ = sys.SetLingerReset(fd)
	sys.Close(fd)
}

// finish ends a connection that both sides have closed.
func (h *Handler) finish(i uint32, c *conn) {
	if c.held > 0 { // the guest is done, the host socket is not
		h.enterTimeWait(i, c)
		return
	}
	h.release(i, c)
}

// enterTimeWait keeps the connection's slot for a while, and its socket as long as
// data is held for it.
func (h *Handler) enterTimeWait(i uint32, c *conn) {
	if c.held == 0 {
		h.closeHost(c)
	}
	c.state = timeWait
	c.clear(readable)
	c.rtxAt = h.now + timeWaitFor
	h.touch(i, c)
}

// leaveTimeWait frees the slot, or waits on while data is held for the socket.
func (h *Handler) leaveTimeWait(i uint32, c *conn) {
	switch {
	case c.held == 0:
		h.release(i, c)
	case h.now-c.lastActive > idleLimit:
		h.abort(i, c)
	default:
		c.rtxAt = h.now + keepInterval
	}
}

// closeHost closes the host socket; the kernel delivers what it has taken.
func (h *Handler) closeHost(c *conn) {
	if c.fd < 0 {
		return
	}
	for c.acked > 0 { // unread data would turn close into RST
		n, errno := sys.Discard(c.fd32(), int(c.acked))
		if errno != 0 || n == 0 {
			break
		}
		c.acked -= min(c.acked, uint32(n))
	}
	c.acked, c.discardAt = 0, 0
	sys.Close(c.fd32())
	c.fd = -1
	c.clear(hostErr)
}

// release frees everything that belongs to connection i.
func (h *Handler) release(i uint32, c *conn) {
	if h.writing == i {
		h.writing = flow.None
		h.out.Reset()
	}
	h.closeHost(c)
	for c.heldHead != 0 {
		h.dropChunk(c)
	}
	h.forgetEarly(c)
	h.deadlines.Clear(i)
	h.table.Remove(i)
	*c = conn{fd: -1}
}

// reopens lets a new SYN take over a connection in TIME-WAIT (RFC 9293 section
// 3.10.7.4, RFC 6191): its sequence number must be beyond the old connection's.
func (h *Handler) reopens(i uint32, c *conn, p *packet.Packet, t packet.TCP) bool {
	if t.Flags()&(packet.SYN|packet.ACK|packet.RST) != packet.SYN || !c.rcvNxt.LessThan(t.Seq()) || c.held > 0 {
		return false
	}
	key := *h.table.Key(i)
	h.release(i, c)
	h.open(p, t, &key)
	return true
}
