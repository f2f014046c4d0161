package tcp

import "time"

const (
	// ackDelay is how long an acknowledgment may wait for data to carry it. The
	// bound is 500 ms (RFC 9293 section 3.8.6.3); the guest's smallest
	// retransmission time-out is 200 ms.
	ackDelay = int64(10 * time.Millisecond)
	// finAckDelay is how long that of the guest's FIN may wait for ours.
	finAckDelay = int64(time.Millisecond)
	// maxDelayed is how much data may be unacknowledged by delay.
	maxDelayed = 16 << 10
	// interactiveWithin: data that follows data from the guest so closely counts as
	// the answer to it.
	interactiveWithin = int64(40 * time.Millisecond)
)

// dataReceived decides when data from the guest is acknowledged: much of it at the end
// of the batch (RFC 9293 section 3.8.6.3: at least every second full-sized segment), a
// little within ackDelay if an answer is likely to carry the acknowledgment, otherwise
// in the next turn, when what the guest says with its next system call may have come.
func (h *Handler) dataReceived(i uint32, c *conn) {
	owed := uint32(c.rcvNxt - c.lastAck)
	switch {
	case owed >= 2*uint32(c.mss) || owed >= maxDelayed:
		c.set(ackNow)
	case !c.has(interactive):
		h.acknowledgeSoon(i, c)
	case c.ackAt == 0:
		c.ackAt = h.now + ackDelay
	}
}

// finReceivedFirst decides when the guest's FIN is acknowledged if ours is not sent yet:
// with that, should the remote end be near and close at once.
func (h *Handler) finReceivedFirst(c *conn) {
	if c.has(ackNow) {
		return
	}
	if c.held > 0 { // the remote end has yet to read
		c.set(ackNow)
		return
	}
	c.clear(ackSoon)
	if at := h.now + finAckDelay; c.ackAt == 0 || at < c.ackAt {
		c.ackAt = at
	}
}

// acknowledgeSoon has connection i acknowledge in the next turn of the loop, which then
// comes at once: RunBacklog. Three segments to the guest instead of five make a short
// inbound connection (make bench, crr-in).
func (h *Handler) acknowledgeSoon(i uint32, c *conn) {
	if !c.has(ackSoon) {
		c.set(ackSoon)
		h.soon = append(h.soon, i)
	}
}

// acknowledgeDue has those of the last turn acknowledge that nothing else has
// acknowledged since.
func (h *Handler) acknowledgeDue() {
	for _, i := range h.due {
		if c := &h.conns[i]; c.has(ackSoon) { // else its slot was freed, or it has done so
			c.clear(ackSoon)
			c.set(ackNow)
			h.touch(i, c)
		}
	}
	h.due, h.soon = h.soon, h.due[:0]
}

// acknowledge sends an acknowledgment that became due. If the link refuses it, a
// timer tries again.
func (h *Handler) acknowledge(i uint32, c *conn) {
	h.sendAck(i, c)
	if c.has(ackNow) {
		c.ackAt = h.linkRetryAt()
	}
}
