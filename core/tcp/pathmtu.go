package tcp

import (
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
)

// TooBig handles what the guest, or a router behind it, says of the segment q of ours:
// packets of its connection may have mtu bytes at most (RFC 1191 section 6.4, RFC 8201
// section 5.2). The other end announces what its own link takes, which says nothing
// of the links before. False if there is no such connection.
//
// What is in flight is sent again, in segments that fit: a super-frame is lost as a
// whole. That is no sign of congestion. Flush has to follow.
func (h *Handler) TooBig(q *packet.Quoted, mtu uint16, now int64) bool {
	i := h.table.Lookup(&flow.Key{Guest: q.Dst, Peer: q.Src, GuestPort: q.DstPort, PeerPort: q.SrcPort})
	if i == flow.None {
		return false
	}
	c := &h.conns[i]
	mss := uint16(max(int(mtu)-ipTCPLen(q.Dst.Is4()), minMSS))
	// Who has not seen the connection cannot know what is in flight (RFC 5927 section 4.1).
	if !c.state.synchronized() || !q.Seq.InRange(c.sndUna, c.sndMax) || mss >= c.mss {
		return true
	}
	h.now = now
	c.mss = mss
	h.goBack(c)
	h.touch(i, c)
	return true
}
