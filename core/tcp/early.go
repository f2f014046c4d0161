package tcp

import "github.com/pasta-net/pasta/core/seqnum"

// Early data is what the guest sent beyond a gap (RFC 9293 section 3.10.7.4, eighth).
// The tap keeps order, but behind a bridge in the guest the segments of one
// connection may take different processors and overtake each other, and queues
// there drop some. Early data waits in chunks of the pool, in order and without
// overlap, each with the number of its first byte. It is not acknowledged
// selectively (RFC 2018): a Linux guest would then probe for losses whenever an
// acknowledgment takes 2 ms (RFC 8985 section 7), as it does on a busy machine, and
// get no faster where segments do overtake (bats 850).

// maxEarly bounds the chunks that the early data of one connection takes.
const maxEarly = 16

// keepEarly stores payload, which starts at seq, behind RcvNxt. What does not fit the
// window or the pool is dropped.
func (h *Handler) keepEarly(c *conn, seq seqnum.Value, payload []byte) {
	if room := int(int32(c.rcvAdv - seq)); len(payload) > room {
		payload = payload[:max(room, 0)]
	}
	for len(payload) > 0 {
		before, after := h.aroundEarly(c, seq)
		n := 0
		if before != 0 {
			n = int(int32(h.pool.endSeq(before) - seq)) // what is there already, if positive
		}
		if n <= 0 {
			if before = h.chunkAt(c, before, after, seq); before == 0 {
				return
			}
			n = h.fillChunk(before, after, seq, payload)
		}
		n = min(n, len(payload))
		seq, payload = seq.Add(seqSize(n)), payload[n:]
	}
}

// aroundEarly gives the last chunk that starts at seq or before it and the one behind
// that, index+1; 0 for none.
func (h *Handler) aroundEarly(c *conn, seq seqnum.Value) (before, after uint16) {
	for after = c.early; after != 0 && h.pool.meta[after-1].seq.LessThanEq(seq); {
		before, after = after, h.pool.meta[after-1].next
	}
	return before, after
}

// chunkAt gives a chunk that takes data from seq on: the one before, if it ends there
// and has room, or a new one between before and after; 0 if there are too many.
func (h *Handler) chunkAt(c *conn, before, after uint16, seq seqnum.Value) uint16 {
	if before != 0 && h.pool.endSeq(before) == seq && len(h.pool.room(before)) > 0 {
		return before
	}
	if c.earlyChunks == maxEarly || h.pool.scarce() {
		return 0
	}
	i := h.pool.take()
	h.pool.meta[i-1].seq, h.pool.meta[i-1].next = seq, after
	if before == 0 {
		c.early = i
	} else {
		h.pool.meta[before-1].next = i
	}
	c.earlyChunks++
	return i
}

// fillChunk appends payload, which starts at seq, to chunk i, up to where the chunk
// after begins, and returns how much it took.
func (h *Handler) fillChunk(i, after uint16, seq seqnum.Value, payload []byte) int {
	if after != 0 {
		payload = payload[:min(len(payload), int(h.pool.meta[after-1].seq-seq))]
	}
	n := copy(h.pool.room(i), payload)
	h.pool.meta[i-1].end += uint32(n)
	return n
}

// useEarly passes on the early data that RcvNxt has reached; false if the connection
// is gone.
func (h *Handler) useEarly(i uint32, c *conn) bool {
	for c.early != 0 && h.pool.meta[c.early-1].seq.LessThanEq(c.rcvNxt) {
		end := h.pool.endSeq(c.early)
		if b := h.pool.bytes(c.early); c.rcvNxt.LessThan(end) {
			h.queueWrite(i, c, b[len(b)-int(end-c.rcvNxt):])
			h.flushWrite() // before the chunk goes
		}
		if c.state == closed {
			return false
		}
		if c.rcvNxt.LessThan(end) { // not taken: the guest sends it again
			return true
		}
		h.dropEarly(c)
	}
	c.set(ackNow)
	return true
}

// dropEarly gives the first chunk of early data back to the pool.
func (h *Handler) dropEarly(c *conn) {
	i := c.early
	c.early = h.pool.meta[i-1].next
	c.earlyChunks--
	h.pool.put(i)
}

// forgetEarly gives all early data back to the pool.
func (h *Handler) forgetEarly(c *conn) {
	for c.early != 0 {
		h.dropEarly(c)
	}
	c.clear(earlyFIN)
}
