package tcp

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// The link loses nothing by itself, so a connection starts without a limit on what
// is in flight but the guest's window. Loss can still happen behind the tap (a
// bridge, a queue, a VM). Then Reno with NewReno recovery applies (RFC 5681, RFC 6582),
// without SACK.

const (
	noCwnd        = ^uint32(0)
	rtoInitial    = int64(time.Second)            // RFC 6298 section 2.1
	rtoMin        = int64(200 * time.Millisecond) // as Linux; the guest delays acknowledgments by up to 40 ms
	rtoAfterSyn   = int64(3 * time.Second)        // RFC 6298 section 5.7
	rtoMaxDefault = int64(120 * time.Second)      // net.ipv4.tcp_rto_max_ms
	rttUnit       = int64(time.Millisecond)       // clock granularity G of RFC 6298 section 2.3
)

// duplicateAck counts duplicates; the third finds a loss.
func (h *Handler) duplicateAck(i uint32, c *conn) {
	if c.dupAcks < 255 {
		c.dupAcks++
	}
	if c.dupAcks != 3 || c.has(recovering) || c.sndUna.LessThan(c.recover) {
		return
	}
	c.ssthresh = max(uint32(c.sndMax-c.sndUna)/2, 2*uint32(c.mss))
	c.cwnd = c.ssthresh
	c.recover = c.sndMax
	c.set(recovering | resend)
	c.clear(timing)
	h.touch(i, c)
}

// leaveRecovery follows an acknowledgment of something new: a partial one shows the
// next gap (RFC 6582 section 3.2 step 3).
func (h *Handler) leaveRecovery(i uint32, c *conn) {
	c.dupAcks = 0
	if !c.has(recovering) {
		return
	}
	if c.recover.LessThanEq(c.sndUna) {
		c.clear(recovering)
		return
	}
	c.set(resend)
	h.touch(i, c)
}

// grow opens the congestion window again after a loss (RFC 5681 section 3.1).
func (h *Handler) grow(c *conn, acked uint32) {
	switch {
	case c.cwnd >= maxInFlight:
		c.cwnd = noCwnd
	case c.cwnd < c.ssthresh:
		c.cwnd += acked
	default:
		c.cwnd += max(1, uint32(uint64(c.mss)*uint64(min(acked, c.cwnd))/uint64(c.cwnd)))
	}
}

// resendFirst sends the first unacknowledged segment again. False if the
// connection is gone.
func (h *Handler) resendFirst(i uint32, c *conn) bool {
	c.clear(resend)
	if c.sndUna == c.sndMax {
		return true
	}
	flags, b := uint8(packet.ACK|packet.FIN), []byte(nil)
	if c.sndUna != c.dataEnd() {
		var errno syscall.Errno
		if b, errno = h.peekFirst(i, c); errno != 0 {
			return h.peekFailed(i, c, errno)
		}
		flags = packet.ACK | packet.PSH
	}
	h.Stats.Retransmits++
	n, errno := h.send(i, c, flags, c.sndUna, b)
	c.sndNxt = seqnum.Max(c.sndNxt, c.sndUna.Add(seqSize(n)))
	if errno != 0 {
		c.set(resend)
		h.linkRefused(i, c)
	}
	return true
}

// peekFirst reads what one (super-)segment holds of the unacknowledged data.
func (h *Handler) peekFirst(i uint32, c *conn) ([]byte, syscall.Errno) {
	nxt := c.sndNxt
	c.sndNxt = c.sndUna
	n := min(int(c.dataEnd()-c.sndUna), frameLen(c, h.table.Key(i).Guest.Is4()), peekLen)
	b, errno := h.peek(c, n)
	c.sndNxt = nxt
	return b, errno
}

// timedOut handles the retransmission timer (RFC 6298 section 5.4 to 5.6): everything
// from SndUna on is sent again, slowly at first.
func (h *Handler) timedOut(i uint32, c *conn) {
	c.backoff = min(c.backoff+1, 16)
	c.rtxAt = h.now + h.rto(c)
	c.ssthresh = max(uint32(c.sndMax-c.sndUna)/2, 2*uint32(c.mss))
	c.cwnd = 2 * uint32(c.mss)
	h.goBack(c)
	h.touch(i, c)
}

// goBack has everything from SndUna on sent again.
func (h *Handler) goBack(c *conn) {
	c.clear(timing | recovering | resend)
	c.dupAcks = 0
	c.recover = c.sndMax // no fast retransmit for what is now sent twice (RFC 6582 section 4)
	c.sndNxt = c.sndUna
	h.Stats.Retransmits++
}

// probeWindow asks a guest with a closed window for its state (RFC 9293 section
// 3.8.6.1). The probe is an old sequence number, which the guest must answer.
func (h *Handler) probeWindow(i uint32, c *conn) {
	c.backoff = min(c.backoff+1, 16)
	c.rtxAt = h.now + h.rto(c)
	_, _ = h.send(i, c, packet.ACK, c.sndUna-1, nil)
}

// rto is the current retransmission time-out with back-off.
func (h *Handler) rto(c *conn) int64 {
	base := rtoInitial
	if c.has(synAgain) {
		base = rtoAfterSyn
	}
	if c.srtt != 0 {
		base = max(c.srtt+max(rttUnit, 4*c.rttVar), rtoMin)
	}
	return min(base<<c.backoff, h.rtoMax)
}

// measureRTT takes a sample when the timed segment is acknowledged (RFC 6298
// section 2; never of a retransmission, section 3).
func (h *Handler) measureRTT(c *conn, ack seqnum.Value) {
	if !c.has(timing) || ack.LessThan(c.rttSeq) {
		return
	}
	c.clear(timing | synAgain)
	r := max(h.now-c.rttAt, 1)
	if c.srtt == 0 {
		c.srtt, c.rttVar = r, r/2
		return
	}
	d := c.srtt - r
	c.rttVar += (max(d, -d) - c.rttVar) / 4
	c.srtt -= d / 8
	c.srtt = max(c.srtt, 1)
}

// restartRTO follows an acknowledgment of something new (RFC 6298 section 5.2, 5.3).
func (h *Handler) restartRTO(c *conn) {
	c.rtxSince = h.now
	c.clear(linkFull)
	if c.sndUna == c.sndMax {
		c.rtxAt = 0
		return
	}
	c.rtxAt = h.now + h.rto(c)
}
