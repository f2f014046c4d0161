package tcp

import (
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// processAck handles the acknowledgment and window of an acceptable segment (RFC
// 9293 section 3.10.7.4, fifth). False: go no further with the segment.
func (h *Handler) processAck(i uint32, c *conn, t packet.TCP) bool {
	ack := t.Ack()
	if c.state == synRcvd {
		if !ack.InRange(c.sndUna+1, c.sndMax+1) {
			h.resetStray(i, t)
			return false
		}
		h.establish(i, c, t)
	}
	// RFC 5961 section 5.2: neither beyond what was sent nor too old.
	if !ack.InRange(c.sndUna-seqnum.Value(c.maxWnd), c.sndMax+1) {
		h.challengeAck(i, c)
		return false
	}
	switch {
	case c.sndUna.LessThan(ack):
		h.advance(i, c, ack)
	case ack == c.sndUna && duplicate(c, t):
		h.duplicateAck(i, c)
	}
	if c.state == closed || c.state == timeWait {
		return c.state == timeWait
	}
	h.updateWindow(i, c, t)
	return true
}

// resetStray answers an acknowledgment of something never sent in SYN-RECEIVED.
func (h *Handler) resetStray(i uint32, t packet.TCP) {
	h.sendControl(h.table.Key(i), packet.RST, t.Ack(), 0)
}

// advance handles an acknowledgment of something new.
func (h *Handler) advance(i uint32, c *conn, ack seqnum.Value) {
	bytes := uint32(ack - c.sndUna)
	finAcked := c.state.sentFIN() && ack == c.sndMax
	if finAcked {
		bytes--
	}
	c.acked += bytes
	c.sndUna = ack
	c.sndNxt = seqnum.Max(c.sndNxt, ack)
	c.recover = seqnum.Max(c.recover, ack) // keeps it from falling 2^31 behind
	c.lastActive = h.now
	h.measureRTT(c, ack)
	c.backoff = 0
	h.restartRTO(c)
	h.grow(c, bytes)
	h.leaveRecovery(i, c)
	h.touch(i, c)
	if finAcked {
		h.finAcked(i, c)
	}
}

// finAcked handles the acknowledgment of our FIN.
func (h *Handler) finAcked(i uint32, c *conn) {
	switch c.state {
	case finWait1:
		c.state = finWait2
	case closing:
		h.enterTimeWait(i, c)
	default: // lastAck
		h.finish(i, c)
	}
}

// duplicate is the definition of RFC 5681 section 2: nothing in the segment but
// the same acknowledgment and window again, with data outstanding. With the window
// closed it is the answer to a probe.
func duplicate(c *conn, t packet.TCP) bool {
	return c.sndUna != c.sndMax && segLen(t) == 0 && c.sndWnd != 0 && uint32(t.Window())<<c.sndShift == c.sndWnd
}

// updateWindow takes the guest's window from newer segments only (RFC 9293
// section 3.10.7.4: SND.WL1, SND.WL2).
func (h *Handler) updateWindow(i uint32, c *conn, t packet.TCP) {
	seq, ack := t.Seq(), t.Ack()
	if !c.sndWL1.LessThan(seq) && !(c.sndWL1 == seq && c.sndWL2.LessThanEq(ack)) {
		return
	}
	wnd := uint32(t.Window()) << c.sndShift
	if c.sndWnd == 0 && wnd > 0 { // a probe has done its work
		c.backoff = 0
		h.restartRTO(c)
		if c.sndUna != c.sndMax { // the window was closed over it, so it was dropped
			h.goBack(c)
		}
	}
	if wnd > c.sndWnd && h.mayTransmit(c) {
		h.touch(i, c)
	}
	c.sndWnd, c.sndWL1, c.sndWL2 = wnd, seq, ack
	c.maxWnd = max(c.maxWnd, wnd)
}

// challengeAck asks the guest to show that it is in step (RFC 5961), within
// the limit of section 7 there.
func (h *Handler) challengeAck(i uint32, c *conn) {
	if h.limit.allow(h.now) {
		h.Stats.ChallengeAcks++
		h.flushWrite()
		if c.state != closed {
			h.sendAck(i, c)
		}
	}
}

// ackLimit allows a number of challenge acknowledgments per second.
type ackLimit struct {
	second int64
	count  int
}

const challengesPerSecond = 1000

func (l *ackLimit) allow(now int64) bool {
	if s := now / 1e9; s != l.second {
		l.second, l.count = s, 0
	}
	l.count++
	return l.count <= challengesPerSecond
}
