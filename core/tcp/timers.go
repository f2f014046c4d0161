package tcp

import (
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
)

const (
	// linkRetry is when a full link is tried again; every further turn in which it
	// refuses doubles that, up to linkRetryMax: it may be down.
	linkRetry    = int64(time.Millisecond)
	linkRetryMax = int64(128 * time.Millisecond)
	// outRetry is when a host socket is tried again that has room but took nothing,
	// for lack of kernel memory.
	outRetry = int64(10 * time.Millisecond)
	// keepIdle and keepInterval: a guest silent for so long is probed, and
	// probed again, so that the host socket goes when the guest has forgotten.
	keepIdle     = int64(60 * time.Second)
	keepInterval = int64(30 * time.Second)
	// idleLimit ends connections without data in either direction whose guest
	// does not answer probes.
	idleLimit = int64(7200 * time.Second)
	// giveUpAfter is how long unacknowledged data is sent again: seven
	// retransmissions from 1 s on, doubling.
	giveUpAfter = int64(127 * time.Second)
	// maxSynRetries bounds retransmissions of a SYN.
	maxSynRetries = 7
)

// synTimers are the host's settings for SYN retransmission.
type synTimers struct {
	linear, retries int
}

func newSynTimers(t *config.Timeouts) synTimers {
	s := synTimers{linear: 4, retries: maxSynRetries}
	if t.TCPSynLinear != nil {
		s.linear = *t.TCPSynLinear
	}
	if t.TCPSynRetries != 0 {
		s.retries = min(maxSynRetries, t.TCPSynRetries+s.linear)
	}
	return s
}

// synTimeout is how long to wait for an answer after retransmission n: 1 s for
// the linear ones (net.ipv4.tcp_syn_linear_timeouts), then doubling.
func synTimeout(s *synTimers, n int) int64 {
	return int64(time.Second) << max(0, n-s.linear)
}

// schedule makes sure that expire runs when the connection's next time comes.
// A deadline that is too early stays: moving it at every packet would cost more
// than the one idle wake-up.
func (h *Handler) schedule(i uint32, c *conn) {
	if c.state == closed {
		return
	}
	at := h.nextTime(c)
	if old, ok := h.deadlines.At(i); !ok || at < old {
		h.deadlines.Set(i, at)
	}
}

// nextTime is the earliest of the connection's times.
func (h *Handler) nextTime(c *conn) int64 {
	if c.rtxAt == 0 && h.stuck(c) {
		c.rtxAt, c.rtxSince = h.now+h.rto(c), h.now
	}
	at := h.keepAliveAt(c)
	for _, t := range [...]int64{c.rtxAt, c.ackAt, c.discardAt, c.outAt} {
		if t != 0 {
			at = min(at, t)
		}
	}
	return at
}

// stuck tells whether data waits for a window that only a probe can show to open.
func (h *Handler) stuck(c *conn) bool {
	return c.has(readable) && c.state.sendsData() && c.sndUna == c.sndMax
}

func (h *Handler) keepAliveAt(c *conn) int64 {
	if c.state == connecting || c.state == timeWait {
		return loop.NoDeadline
	}
	return max(c.lastFromGuest+keepIdle, c.probedAt+keepInterval)
}

// NextDeadline is when Expire has to run next.
func (h *Handler) NextDeadline() int64 {
	at, ok := h.deadlines.Next()
	if !ok {
		at = loop.NoDeadline
	}
	if h.paused != 0 {
		at = min(at, h.paused)
	}
	return at
}

// Expire handles all times that have come.
func (h *Handler) Expire(now int64) {
	h.now = now
	if h.paused != 0 && h.paused <= now {
		h.resume()
	}
	for {
		i, ok := h.deadlines.Expired(now)
		if !ok {
			return
		}
		h.expire(i, &h.conns[i])
	}
}

func (h *Handler) expire(i uint32, c *conn) {
	if c.discardAt != 0 && c.discardAt <= h.now && !h.discard(i, c) {
		return
	}
	if c.outAt != 0 && c.outAt <= h.now && !h.outAgain(i, c) {
		return
	}
	if c.ackAt != 0 && c.ackAt <= h.now {
		c.ackAt = 0
		c.clear(interactive) // nothing came to carry it
		c.set(ackNow)
		h.acknowledge(i, c)
	}
	if c.rtxAt != 0 && c.rtxAt <= h.now {
		h.retransmitTime(i, c)
	}
	if c.state != closed && h.keepAliveAt(c) <= h.now {
		h.keepAlive(i, c)
	}
	h.schedule(i, c)
}

// retransmitTime handles rtxAt, whatever it was set for.
func (h *Handler) retransmitTime(i uint32, c *conn) {
	c.rtxAt = 0
	switch {
	case c.state == timeWait:
		h.leaveTimeWait(i, c)
	case c.has(linkFull):
		c.clear(linkFull)
		if c.sndUna != c.sndMax {
			c.rtxAt = h.now + h.rto(c)
		}
		h.touch(i, c)
	case c.state == synSent || c.state == synRcvd:
		h.synTimedOut(i, c)
	case c.sndWnd == 0 && (c.sndUna != c.sndMax || h.stuck(c)):
		if h.now-max(c.rtxSince, c.lastFromGuest) > giveUpAfter {
			h.reset(i, c)
			return
		}
		h.probeWindow(i, c)
	case c.sndUna != c.sndMax:
		if h.now-c.rtxSince > giveUpAfter {
			h.reset(i, c)
			return
		}
		h.timedOut(i, c)
	default: // a window too small for more than a silly piece
		h.touch(i, c)
	}
}

func (h *Handler) synTimedOut(i uint32, c *conn) {
	if int(c.backoff) >= h.syn.retries {
		h.reset(i, c)
		return
	}
	c.backoff++
	c.set(synAgain)
	c.clear(timing)
	c.rtxAt = h.now + synTimeout(&h.syn, int(c.backoff))
	h.Stats.Retransmits++
	h.sendSyn(i, c)
}

// keepAlive probes a silent guest; one that has forgotten the connection answers
// with RST.
func (h *Handler) keepAlive(i uint32, c *conn) {
	if h.now-c.lastActive > idleLimit && h.now-c.lastFromGuest > idleLimit {
		h.reset(i, c)
		return
	}
	c.probedAt = h.now
	if c.state != synSent && c.state != synRcvd {
		_, _ = h.send(i, c, packet.ACK, c.sndUna-1, nil)
	}
}
