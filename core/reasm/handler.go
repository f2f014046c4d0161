package reasm

import (
	"time"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

const (
	// maxPartial bounds the packets that are incomplete at a time, with 66 KiB each.
	// The kernel sends the fragments of one after those of the other, so a few
	// go far; the rest are for those that lost a fragment.
	maxPartial = 32
	// timeout is how long the fragments of a packet may take (RFC 8200 section 4.5,
	// RFC 1122 section 3.3.2), in nanoseconds.
	timeout = int64(60 * time.Second)
)

// Stats are event counters since start.
type Stats struct {
	// Fragments counts those from the guest, Packets what was made of them.
	Fragments, Packets uint64
	// Conflicts counts packets given up because fragments overlap, Timeouts because
	// some did not come, Displaced because others took the place.
	Conflicts, Timeouts, Displaced uint64
}

// Handler collects the fragments of one guest.
type Handler struct {
	nat       *fwd.Map
	link      *tap.Link
	partial   [maxPartial]partial
	deadlines *flow.Deadlines // of those in use; all wait equally long, so by age
	recent    uint32          // slot of the last fragment

	// Stats is for reading between events.
	Stats Stats
}

// New makes a handler for link.
func New(nat *fwd.Map, link *tap.Link) *Handler {
	return &Handler{nat: nat, link: link, deadlines: flow.NewDeadlines(maxPartial)}
}

// FromTap takes a fragment from the guest at loop time now: p, of which the link gave
// DropFragment, in the receive slot of tap.RecvLen bytes. If that makes a valid packet
// complete, it is written to the same slot, and p is that packet.
func (h *Handler) FromTap(p *packet.Packet, slot []byte, now int64) (whole bool) {
	h.Stats.Fragments++
	var f packet.Fragment
	frame, drop := h.fragment(p, &f, slot, now)
	if drop != packet.DropNone {
		h.link.Drop(drop)
		return false
	}
	if frame == nil || h.link.Reassembled(frame, p) != packet.DropNone {
		return false
	}
	if neighborDiscovery(p) {
		h.link.Drop(packet.DropFragment)
		return false
	}
	h.Stats.Packets++
	return true
}

// neighborDiscovery tells whether p is a message that may not come in fragments (RFC
// 6980 section 5).
func neighborDiscovery(p *packet.Packet) bool {
	return p.Proto == packet.ProtoICMPv6 && len(p.L4) > 0 &&
		p.L4[0] >= packet.ICMPv6RouterSolicit && p.L4[0] <= packet.ICMPv6Redirect
}

// fragment reads p into f and gives the frame that it completes, in slot, if any.
func (h *Handler) fragment(p *packet.Packet, f *packet.Fragment, slot []byte, now int64) ([]byte, packet.Drop) {
	if d := p.Fragment(f); d != packet.DropNone {
		return nil, d
	}
	switch {
	case !h.nat.Family(p.Src).Enabled:
		return nil, packet.DropDisabled
	case !fwd.ValidSource(p.Src):
		return nil, packet.DropAddress
	case f.Whole():
		return putFrame(slot, p, f.Proto, p.TTL, f.Data), packet.DropNone
	}
	return h.collect(p, f, slot, now)
}

// putFrame writes a frame with the addresses of p and the given data behind the IP
// header. Options and extension headers that were in front of the fragment are left
// out: nothing is done with them. data may be in frame, behind the headers there.
func putFrame(frame []byte, p *packet.Packet, proto, ttl uint8, data []byte) []byte {
	ip := packet.IPHeader{Src: p.Src, Dst: p.Dst, Proto: proto, TTL: ttl, PayloadLen: len(data)}
	n := packet.EthLen + ip.IPLen()
	copy(frame[n:], data)
	packet.PutEthernet(frame, p.EthDst, p.EthSrc, p.EtherType)
	packet.PutIP(frame[packet.EthLen:], &ip)
	return frame[:n+len(data)]
}

// collect adds f, a fragment of p's packet, to the others of it.
func (h *Handler) collect(p *packet.Packet, f *packet.Fragment, slot []byte, now int64) ([]byte, packet.Drop) {
	i := h.lookup(p, f, now)
	d := &h.partial[i]
	if d.conflict {
		return nil, packet.DropFragment
	}
	switch d.buf.add(f) {
	case fits:
		d.note(p, f)
	case duplicate:
		return nil, packet.DropNone
	case conflict:
		d.conflict = true // no fragment that is still to come may begin it anew
		h.Stats.Conflicts++
		return nil, packet.DropFragment
	}
	if !d.buf.complete() {
		return nil, packet.DropNone
	}
	h.release(i)
	return putFrame(slot, p, d.first.proto, d.first.ttl, d.buf.whole()), packet.DropNone
}

// NextDeadline is when Expire is due on the loop's clock, or loop.NoDeadline.
func (h *Handler) NextDeadline() int64 {
	if at, ok := h.deadlines.Next(); ok {
		return at
	}
	return loop.NoDeadline
}

// Expire gives up what waited for too long.
func (h *Handler) Expire(now int64) {
	for {
		i, ok := h.deadlines.Expired(now)
		if !ok {
			return
		}
		d := &h.partial[i]
		if !d.conflict {
			h.Stats.Timeouts++
			h.link.Drop(packet.DropFragment)
			h.tell(d)
		}
		d.used = false
	}
}
