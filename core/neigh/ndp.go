package neigh

import (
	"context"
	"log/slog"

	"github.com/pasta-net/pasta/core/packet"
)

// ndpFromTap takes Neighbor Discovery messages. Those that are not answered
// end here too: none may leave the link.
func (h *Handler) ndpFromTap(p *packet.Packet, now int64) {
	if !h.servesNDP() {
		h.link.Drop(packet.DropDisabled)
		return
	}
	m, ok := packet.ParseND(p)
	if !ok {
		h.link.Drop(packet.DropTransport)
		return
	}
	switch m.Type() {
	case packet.ICMPv6NeighborSolicit:
		h.answerSolicit(p, m.Target())
	case packet.ICMPv6RouterSolicit:
		h.answerRouterSolicit(p, now)
	}
}

// answerSolicit advertises target as ours. A solicitation from :: is duplicate
// address detection (RFC 4862 section 5.4.3), which must not find a duplicate.
func (h *Handler) answerSolicit(p *packet.Packet, target packet.Addr) {
	if target.IsMulticast() {
		h.link.Drop(packet.DropTransport) // RFC 4861 section 7.1.1
		return
	}
	if p.Src.IsUnspecified() {
		return
	}
	mac, ok := h.macOf(target)
	if !ok {
		return
	}
	h.debug("neighbor advertisement", target)
	h.sendNeighbor(h.link.GuestMAC(), p.Src, neighbor{
		typ: packet.ICMPv6NeighborAdvert, flags: packet.NDRouter | packet.NDSolicited | packet.NDOverride, target: target, mac: mac,
	})
}

// solicit asks for the guest's assigned address. As its MAC is what we want to
// learn, the frame is broadcast: every interface takes that, whatever its
// multicast filter.
func (h *Handler) solicit() {
	dst := packet.SolicitedNode(h.guest6)
	h.sendNeighbor(packet.Broadcast, dst, neighbor{
		typ: packet.ICMPv6NeighborSolicit, target: h.guest6, mac: h.link.OurMAC(),
	})
}

// neighbor is a solicitation or advertisement; mac is the link-layer address in it.
type neighbor struct {
	typ, flags uint8
	target     packet.Addr
	mac        packet.MAC
}

// sendNeighbor leaves a refusal by the device to the link's counters.
func (h *Handler) sendNeighbor(to packet.MAC, dst packet.Addr, n neighbor) {
	ipLen := packet.PutIP(h.buf[:], &packet.IPHeader{
		Src: h.linkLocal, Dst: dst, Proto: packet.ProtoICMPv6, TTL: packet.DefaultTTL,
		PayloadLen: packet.NDNeighborLen + packet.NDLinkOptLen,
	})
	packet.PutNeighbor(h.buf[ipLen:], n.typ, n.flags, n.target, n.mac)
	packet.SetICMPChecksum(h.buf[:], ipLen)
	_ = h.link.SendPacket(to, packet.EtherTypeIP6, h.buf[:])
}

// debug avoids the allocations of a disabled log.
func (h *Handler) debug(msg string, about packet.Addr) {
	if h.log.Enabled(context.Background(), slog.LevelDebug) {
		h.log.Debug(msg, "addr", about.Netip())
	}
}
