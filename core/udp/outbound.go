package udp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// datagram is one packet from the guest that waits for Flush.
type datagram struct {
	payload []byte // in the receive slot of the tap
	// segment is the size of the datagrams in a super-frame, else len(payload).
	segment int
	next    int32 // of the same flow, or noIndex
}

// FromTap takes one UDP packet from the guest. p points into a receive slot that
// must stay valid until Flush; p itself may be reused.
func (h *Handler) FromTap(p *packet.Packet, now int64) {
	u, ok := packet.ParseUDP(p.L4)
	if !ok {
		h.link.Drop(packet.DropTransport)
		return
	}
	if !h.cfg.UDP || !h.nat.Family(p.Src).Enabled {
		h.link.Drop(packet.DropDisabled)
		return
	}
	k := flow.Key{Guest: p.Src, GuestPort: u.SrcPort(), Peer: p.Dst, PeerPort: u.DstPort()}
	i := h.lookup(&k)
	if i == flow.None {
		var drop packet.Drop
		if i, drop = h.outbound(&k, u, now); drop != packet.DropNone {
			h.link.Drop(drop)
			return
		}
	}
	h.recent = i
	f := &h.flows[i]
	h.answered(f)
	if f.listener != noIndex {
		h.uses.Use(i, known, now)
	} else {
		h.uses.Again(i, now)
		if p.TTL != f.ttl && !h.setTTL(i, p.TTL) {
			h.link.Drop(packet.DropIPHeader)
			return
		}
	}
	h.enqueue(i, p, u.Payload())
}

// outbound starts a flow from the guest.
func (h *Handler) outbound(k *flow.Key, u packet.UDP, now int64) (uint32, packet.Drop) {
	if !fwd.ValidSource(k.Guest) || k.GuestPort == 0 {
		return flow.None, packet.DropAddress
	}
	host, ok := h.nat.Outbound(packet.ProtoUDP, k.Peer, k.PeerPort)
	if !ok {
		if h.nat.Closed(k.Peer) {
			h.unreachable(k, packet.Addr{}, u.Payload(), syscall.ENETUNREACH)
		}
		return flow.None, packet.DropAddress
	}
	i := h.insertOwn(k)
	if i == flow.None {
		return flow.None, packet.DropTableFull
	}
	t := target{host: host, hostPort: k.PeerPort, local: k.GuestPort, scope: h.nat.OutboundScope(host)}
	if errno := h.openSocket(i, &t); errno != 0 {
		h.unreachable(k, host, u.Payload(), errno)
		h.close(i)
		return flow.None, packet.DropNoSocket
	}
	h.uses.Use(i, flow.Unanswered, now)
	return i, packet.DropNone
}

// setTTL has the socket of flow i send with ttl from now on, not before what is
// pending has left. A TTL of zero may not be sent (RFC 1122 section 3.2.1.7).
func (h *Handler) setTTL(i uint32, ttl uint8) bool {
	if ttl == 0 {
		return false
	}
	h.send(i)
	f := &h.flows[i]
	if sys.SetTTL(f.fd, sys.Family(f.host), int(ttl), f.host.IsMulticast()) == 0 {
		f.ttl = ttl
	}
	return true
}

// enqueue chains the payload to those that flow i has pending.
func (h *Handler) enqueue(i uint32, p *packet.Packet, payload []byte) {
	if len(h.pending) == cap(h.pending) {
		h.Flush()
	}
	segment := len(payload)
	if p.GSO == packet.GSOUDP {
		segment = int(p.GSOSize)
	}
	at := int32(len(h.pending))
	h.pending = append(h.pending, datagram{payload: payload, segment: segment, next: noIndex})
	f := &h.flows[i]
	if f.pendHead == noIndex {
		f.pendHead = at
		h.dirty = append(h.dirty, i)
	} else {
		h.pending[f.pendTail].next = at
	}
	f.pendTail = at
}

// Flush sends what FromTap left pending. The engine calls it at the end of
// each batch of frames from the tap.
func (h *Handler) Flush() {
	for _, i := range h.dirty {
		h.send(i)
	}
	clear(h.pending) // drops the references to the slots
	h.pending, h.dirty = h.pending[:0], h.dirty[:0]
}
