package tcp

import (
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

func seqSize(n int) seqnum.Size   { return seqnum.Size(n) }
func seqValue(n int) seqnum.Value { return seqnum.Value(n) }

// FromTap handles a TCP packet of the guest. p must stay valid until Flush.
func (h *Handler) FromTap(p *packet.Packet, now int64) {
	t, ok := packet.ParseTCP(p.L4)
	if !ok {
		h.link.Drop(packet.DropTransport)
		return
	}
	h.now = now
	key := flow.Key{Guest: p.Src, Peer: p.Dst, GuestPort: t.SrcPort(), PeerPort: t.DstPort()}
	i := h.table.Lookup(&key)
	if i == flow.None {
		h.noConnection(p, t, &key)
		return
	}
	h.segment(i, &h.conns[i], p, t)
}

// noConnection handles a segment for which there is no connection (RFC 9293
// section 3.10.7.1 and, for SYN, 3.10.7.2).
func (h *Handler) noConnection(p *packet.Packet, t packet.TCP, key *flow.Key) {
	switch fl := t.Flags(); {
	case !usable(p, key):
		h.link.Drop(packet.DropAddress)
	case fl&packet.RST != 0:
		h.link.Drop(packet.DropNoFlow)
	case fl&(packet.SYN|packet.ACK|packet.FIN) == packet.SYN:
		h.open(p, t, key)
	default:
		h.link.Drop(packet.DropNoFlow)
		h.sendReset(p, t)
	}
}

// segment handles a segment of connection i in the order of RFC 9293 section
// 3.10.7.3 and 3.10.7.4.
func (h *Handler) segment(i uint32, c *conn, p *packet.Packet, t packet.TCP) {
	c.lastFromGuest = h.now
	switch c.state {
	case connecting:
		h.inConnecting(i, c, t)
		return
	case synSent:
		h.inSynSent(i, c, t)
		return
	case timeWait:
		if h.reopens(i, c, p, t) {
			return
		}
	default: // the general case follows
	}
	if !h.acceptable(c, t) {
		h.unacceptable(i, c, t)
		return
	}
	if t.Flags()&packet.RST != 0 {
		h.resetByGuest(i, c, t)
		return
	}
	if t.Flags()&packet.SYN != 0 {
		h.challengeAck(i, c)
		return
	}
	if t.Flags()&packet.ACK == 0 {
		h.link.Drop(packet.DropTransport)
		return
	}
	if !h.processAck(i, c, t) {
		return
	}
	h.processData(i, c, t)
}

// inConnecting handles what the guest sends while the host side is being connected:
// its SYN again, a new one if it has given up the first, or RST.
func (h *Handler) inConnecting(i uint32, c *conn, t packet.TCP) {
	switch t.Flags() & (packet.SYN | packet.ACK | packet.RST) {
	case packet.SYN:
		h.guestSYN(i, c, t)
	case packet.RST, packet.RST | packet.ACK:
		if t.Seq() == c.rcvNxt {
			h.abort(i, c)
		}
	}
}

// acceptable is the test of RFC 9293 section 3.10.7.4, first: does the segment
// start or end in the window that was advertised?
func (h *Handler) acceptable(c *conn, t packet.TCP) bool {
	n, wnd := segLen(t), c.rcvAdv-c.rcvNxt
	seq := t.Seq()
	switch {
	case n == 0 && wnd == 0:
		return seq == c.rcvNxt
	case n == 0:
		// One beyond the right edge is let through: that is where an
		// acknowledgment of a guest with a full window stands.
		return seq.InWindow(c.rcvNxt, seqnum.Size(wnd)+1)
	case wnd == 0:
		// A segment that starts at RcvNxt may carry an acknowledgment that
		// matters; its data is cut off later.
		return seq == c.rcvNxt
	}
	last := seq + n - 1
	return seq.InWindow(c.rcvNxt, seqnum.Size(wnd)) || last.InWindow(c.rcvNxt, seqnum.Size(wnd))
}

// unacceptable answers a segment outside the window: the acknowledgment that tells
// the guest where we are. Its RST is ignored. Empty segments, to which the answer
// could be another empty one, are rate limited (RFC 5961 section 7).
func (h *Handler) unacceptable(i uint32, c *conn, t packet.TCP) {
	switch {
	case t.Flags()&packet.RST != 0:
	case c.state == synRcvd && t.Flags()&packet.SYN != 0 && t.Seq()+1 == c.rcvNxt:
		h.synRepeated(i, c, t)
	case segLen(t) == 0 && t.Seq() != c.rcvNxt-1: // not a keep-alive
		h.challengeAck(i, c)
	default:
		if c.state == timeWait && c.fd < 0 { // its FIN again (RFC 9293 section 3.10.7.4, eighth)
			c.rtxAt = h.now + timeWaitFor
		}
		c.set(ackNow)
		h.touch(i, c)
	}
}

// synRepeated handles the guest's SYN in SYN-RECEIVED: either our answer was lost,
// or both opened at the same time and this is the guest's SYN,ACK (RFC 9293
// figure 7).
func (h *Handler) synRepeated(i uint32, c *conn, t packet.TCP) {
	if t.Flags()&packet.ACK == 0 || t.Ack() != c.sndMax {
		h.sendSyn(i, c)
		return
	}
	h.establish(i, c, t)
	c.set(ackNow)
}

// resetByGuest handles an RST in the window (RFC 5961 section 3.2): only the
// exact sequence number resets, others are challenged.
func (h *Handler) resetByGuest(i uint32, c *conn, t packet.TCP) {
	if t.Seq() != c.rcvNxt {
		h.challengeAck(i, c)
		return
	}
	h.Stats.ResetByGuest++
	h.flushWrite() // what was sent before the RST is delivered
	if c.state != closed {
		h.abort(i, c)
	}
}

// processData handles payload and FIN of an acceptable segment.
func (h *Handler) processData(i uint32, c *conn, t packet.TCP) {
	payload, seq, fin := t.Payload(), t.Seq(), t.Flags()&packet.FIN != 0
	if len(payload) == 0 && !fin {
		return
	}
	h.touch(i, c)
	if c.rcvNxt.LessThan(seq) {
		h.gap(i, c, t)
		return
	}
	if old := int(c.rcvNxt - seq); old > 0 {
		c.set(ackNow)
		if old > len(payload) { // all of it, and its FIN if any
			return
		}
		payload = payload[old:]
	}
	if room := int(c.rcvAdv - c.rcvNxt); len(payload) > room {
		payload, fin = payload[:room], false
		c.set(ackNow)
	}
	if !c.state.takesData() {
		return
	}
	if len(payload) > 0 {
		h.queueWrite(i, c, payload)
		if c.state == closed {
			return
		}
		h.dataReceived(i, c)
	}
	if fin {
		c.set(earlyFIN)
		c.finAt = t.Seq() + seqValue(len(t.Payload()))
	}
	if c.early != 0 && !h.useEarly(i, c) {
		return
	}
	if c.has(earlyFIN) && c.rcvNxt == c.finAt {
		h.finReceived(i, c, c.finAt)
	}
}

// gap keeps what a segment beyond RcvNxt brings, and answers at once: the guest counts
// duplicates.
func (h *Handler) gap(i uint32, c *conn, t packet.TCP) {
	h.Stats.OutOfOrder++
	if c.state.takesData() {
		h.keepEarly(i, c, t.Seq(), t.Payload())
		if t.Flags()&packet.FIN != 0 {
			c.set(earlyFIN)
			c.finAt = t.Seq() + seqValue(len(t.Payload()))
		}
	}
	h.flushWrite()
	if c.state != closed {
		h.sendAck(i, c)
	}
}

// finReceived handles the guest's FIN with number at, after all data before it.
func (h *Handler) finReceived(i uint32, c *conn, at seqnum.Value) {
	h.flushBeforeFIN(i)
	if c.state == closed || c.rcvNxt != at {
		return // failed, or some data was not taken: the guest sends FIN again
	}
	c.rcvNxt++
	c.set(guestFIN)
	h.forgetEarly(c)
	c.lastActive = h.now
	switch c.state {
	case established:
		c.state = closeWait
		h.finReceivedFirst(c)
	case finWait1:
		c.state = closing
		c.set(ackNow)
	default: // finWait2
		c.set(ackNow)
		h.enterTimeWait(i, c) // closes the socket, unless data is held
	}
	if c.fd >= 0 {
		h.shutdownHost(c)
	}
}
