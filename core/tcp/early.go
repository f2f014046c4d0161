package tcp

import (
	"time"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/seqnum"
)

// Early data is what the guest sent beyond a gap (RFC 9293 section 3.10.7.4, eighth).
// The tap keeps order, but behind a bridge in the guest the segments of one
// connection may take different processors and overtake each other, and queues
// there drop some. Early data waits in chunks of the pool, in order and without
// overlap, each with the number of its first byte. It is not acknowledged
// selectively (RFC 2018): a Linux guest would then probe for losses whenever an
// acknowledgment takes 2 ms (RFC 8985 section 7), as it does on a busy machine, and
// get no faster where segments do overtake (bats 850).
//
// Not acknowledged means that it may be forgotten, and the pool is for all: held data
// takes chunks of early data if there are no others. Early data has a quarter of the
// pool; when that is used up, connections with more than others give some to
// those, and so do those whose gap has not been filled for long, and may never be.

const (
	// maxEarly bounds the chunks that the early data of one connection takes.
	maxEarly = 16
	// staleEarly is when early data has waited for longer than a guest takes to fill a
	// gap: some round trips, or its first retransmission (RFC 6298 section 2.1).
	staleEarly = int64(time.Second)
)

// keepEarly stores payload of connection i, which starts at seq, behind RcvNxt. What
// does not fit the window or the pool is dropped.
func (h *Handler) keepEarly(i uint32, c *conn, seq seqnum.Value, payload []byte) {
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
			if before = h.chunkAt(i, before, after, seq); before == 0 {
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

// chunkAt gives a chunk that takes data of connection i from seq on: the one before, if
// it ends there and has room, or a new one between before and after; 0 if there is none
// to be had.
func (h *Handler) chunkAt(i uint32, before, after uint16, seq seqnum.Value) uint16 {
	if before != 0 && h.pool.endSeq(before) == seq && len(h.pool.room(before)) > 0 {
		return before
	}
	n := h.newEarly(i)
	if n == 0 {
		return 0
	}
	c := &h.conns[i]
	h.pool.meta[n-1].seq, h.pool.meta[n-1].next = seq, after
	if before == 0 {
		c.early = n
	} else {
		h.pool.meta[before-1].next = n
	}
	c.earlyChunks++
	return n
}

// newEarly gives an empty chunk for early data of connection i, in the place of another
// connection's if need be; 0 if it has to do without. Its own chunks stay.
func (h *Handler) newEarly(i uint32) uint16 {
	if h.conns[i].earlyChunks == maxEarly {
		return 0
	}
	if n := h.pool.takeEarly(i, h.now); n != 0 {
		return n
	}
	h.evictEarly(i)
	return h.pool.takeEarly(i, h.now)
}

// forHeld stands for the connection that asks evictEarly where it is for held data.
const forHeld = flow.None

// evictEarly gives the oldest chunk of early data that gives way to connection i back
// to the pool, if there is one.
func (h *Handler) evictEarly(i uint32) {
	n := h.oldestEarly(i)
	if n == 0 {
		return
	}
	c := &h.conns[h.pool.meta[n-1].owner]
	link := &c.early
	for *link != n {
		link = &h.pool.meta[*link-1].next
	}
	h.unlinkEarly(c, link)
	h.pool.put(n)
}

// oldestEarly finds that chunk, index+1; 0: none. There are few chunks, and this is for
// when they are short.
func (h *Handler) oldestEarly(i uint32) (oldest uint16) {
	for k := range h.pool.meta {
		m := &h.pool.meta[k]
		if m.owner == flow.None || oldest != 0 && m.since >= h.pool.meta[oldest-1].since {
			continue
		}
		if i == forHeld || h.givesWay(m, i) {
			oldest = uint16(k + 1)
		}
	}
	return oldest
}

// givesWay tells whether connection i may have chunk m of early data for its own. One
// that has as many but for one is left alone, or it would take the chunk back; but
// everybody may have one.
func (h *Handler) givesWay(m *chunk, i uint32) bool {
	if m.owner == i {
		return false
	}
	have := h.conns[i].earlyChunks
	return have == 0 || h.conns[m.owner].earlyChunks > have+1 || h.now-m.since >= staleEarly
}

// unlinkEarly takes the chunk that link leads to out of the early data of c.
func (h *Handler) unlinkEarly(c *conn, link *uint16) {
	n := *link
	*link = h.pool.meta[n-1].next
	c.earlyChunks--
	h.pool.unmark(n)
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
		n := c.early
		h.unlinkEarly(c, &c.early) // else it could be taken away to hold what is in it
		if end := h.pool.endSeq(n); c.rcvNxt.LessThan(end) {
			b := h.pool.bytes(n)
			h.queueWrite(i, c, b[len(b)-int(end-c.rcvNxt):])
			h.flushWrite() // what is not taken by now, the guest sends again
		}
		h.pool.put(n)
		if c.state == closed {
			return false
		}
	}
	c.set(ackNow)
	return true
}

// forgetEarly gives all early data back to the pool.
func (h *Handler) forgetEarly(c *conn) {
	for c.early != 0 {
		n := c.early
		h.unlinkEarly(c, &c.early)
		h.pool.put(n)
	}
	c.clear(earlyFIN)
}
