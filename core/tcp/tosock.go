package tcp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/sys"
)

// queueWrite adds in-order payload of connection i, which stays valid until Flush,
// to what the end of the batch writes to its socket, and moves RcvNxt over it. A
// full list is written here: the connection may be gone then, or RcvNxt
// taken back.
func (h *Handler) queueWrite(i uint32, c *conn, payload []byte) {
	if h.writing != i {
		h.flushWrite()
		h.writing = i
	}
	h.out.Add(payload)
	c.rcvNxt = c.rcvNxt.Add(seqSize(len(payload)))
	c.lastData, c.lastActive = h.now, h.now
	if h.out.Full() {
		h.flushWrite()
	}
}

// flushWrite writes the pending payloads to their host socket. What that does not
// take is held; what cannot be held either is forgotten by taking RcvNxt back:
// it has not been acknowledged yet, so the guest sends it again.
func (h *Handler) flushWrite() { h.flushWith(0) }

// flushBeforeFIN is flushWrite before the FIN of connection i is passed on: the kernel
// sends that in one segment with the last of the data (MSG_MORE).
func (h *Handler) flushBeforeFIN(i uint32) {
	if h.writing == i {
		h.flushWith(sys.MsgMore)
		return
	}
	h.flushWrite()
}

func (h *Handler) flushWith(flags int) {
	i := h.writing
	h.writing = flow.None
	if i == flow.None || h.out.Count() == 0 {
		return
	}
	c := &h.conns[i]
	n, errno := 0, syscall.Errno(0)
	if c.held == 0 && !c.has(writeFailed) {
		n, errno = sys.SendIovecs(c.fd32(), &h.out, flags|sys.MsgDontwait|sys.MsgNosignal)
		if errno != 0 {
			n = 0
		}
	}
	switch rest := h.out.Len() - n; {
	case c.has(writeFailed), errno != 0 && !tryAgain(errno):
		c.rcvNxt -= seqValue(rest)
		h.writeFailed(i, c, errno)
	case rest > 0:
		h.keep(i, c, n)
	}
	h.out.Reset()
}

// keep holds the pending payload behind the first skip bytes until the host socket
// has room.
func (h *Handler) keep(i uint32, c *conn, skip int) {
	lost := h.out.Len() - skip - h.hold(c, skip)
	c.rcvNxt -= seqValue(lost)
	h.Stats.Dropped += uint64(lost)
	if c.held > overcommit {
		c.set(heavy)
	}
	h.watchOut(i, c)
}

// writeFailed notes that nobody will read what the guest sends any more. What the
// remote end has sent before that is still delivered, as a kernel would, and
// then the guest gets RST.
func (h *Handler) writeFailed(i uint32, c *conn, errno syscall.Errno) {
	if !c.has(writeFailed) {
		h.log.Debug("host socket refuses data", "flow", i, "err", errno)
	}
	c.held = 0
	for c.heldHead != 0 {
		h.dropChunk(c)
	}
	h.forgetEarly(c)
	c.set(writeFailed | hostErr | hostEOF | readable)
	h.touch(i, c)
}

// hold copies the pending payload behind the first skip bytes to the pool and
// returns how much fitted.
func (h *Handler) hold(c *conn, skip int) int {
	total := 0
	for skip < h.out.Len() {
		if c.heldTail == 0 || len(h.pool.room(c.heldTail)) == 0 {
			if c.held >= maxHeld || !h.extend(c) {
				break
			}
		}
		n := h.out.Tail(skip, h.pool.room(c.heldTail))
		h.pool.meta[c.heldTail-1].end += uint32(n)
		c.held += uint32(n)
		skip += n
		total += n
	}
	h.Stats.Held += uint64(total)
	return total
}

// extend gives c another chunk, in the place of early data if need be.
func (h *Handler) extend(c *conn) bool {
	if h.pool.left == 0 {
		h.evictEarly(forHeld)
	}
	i := h.pool.take()
	if i == 0 {
		return false
	}
	if c.heldTail == 0 {
		c.heldHead = i
	} else {
		h.pool.meta[c.heldTail-1].next = i
	}
	c.heldTail = i
	return true
}

// writeHeld gives held data to the host socket and tells how much that took.
func (h *Handler) writeHeld(i uint32, c *conn) (written uint32) {
	for c.held > 0 {
		b := h.pool.bytes(c.heldHead)
		n, errno := sys.Send(c.fd32(), b, sys.MsgDontwait|sys.MsgNosignal)
		if errno != 0 {
			if !tryAgain(errno) {
				h.writeFailed(i, c, errno)
			}
			return written
		}
		written += uint32(n)
		c.held -= uint32(n)
		h.pool.meta[c.heldHead-1].off += uint32(n)
		if n < len(b) {
			return written
		}
		h.dropChunk(c)
	}
	return written
}

// dropChunk gives the first chunk of c back to the pool.
func (h *Handler) dropChunk(c *conn) {
	i := c.heldHead
	c.heldHead = h.pool.meta[i-1].next
	if c.heldHead == 0 {
		c.heldTail = 0
	}
	h.pool.put(i)
}

// fromSockOut continues when the host socket's send buffer has drained; false if
// the connection is gone.
func (h *Handler) fromSockOut(i uint32, c *conn) bool {
	if !c.has(wantOut) {
		return true // room that nobody waits for
	}
	c.clear(wantOut)
	c.roomAt = h.now
	switch written := h.writeHeld(i, c); {
	case c.held > 0 && written > 0:
		h.watchOut(i, c)
		return true
	case c.held > 0: // room, but no kernel memory: an event would come at once, for ever
		c.set(wantOut)
		c.outAt = h.now + outRetry
		return true
	}
	if c.has(guestFIN) {
		h.shutdownHost(c)
	}
	if c.state == timeWait {
		h.closeHost(c)
		return false
	}
	if c.state.takesData() && h.windowGrew(i, c) {
		c.granted = maxWindow // have it looked at again
		c.set(ackNow)
	}
	return true
}

// outAgain tries a host socket again that lacked kernel memory; false if the
// connection is gone.
func (h *Handler) outAgain(i uint32, c *conn) bool {
	c.outAt = 0
	if !h.fromSockOut(i, c) {
		return false
	}
	h.touch(i, c)
	return true
}

// shutdownHost passes the guest's FIN on, once nothing is held in front of it.
func (h *Handler) shutdownHost(c *conn) {
	if c.held == 0 {
		_ = sys.Shutdown(c.fd32(), sys.ShutWr)
	}
}

// tryAgain tells errors that pass from errors that end a connection.
func tryAgain(errno syscall.Errno) bool {
	return errno == syscall.EAGAIN || errno == syscall.ENOBUFS || errno == syscall.ENOMEM || errno == syscall.EINTR
}
