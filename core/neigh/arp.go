package neigh

import "github.com/pasta-net/pasta/core/packet"

// arpFromTap answers requests. Only the guest itself has its assigned address;
// a request from the address that it asks for is an announcement (RFC 5227
// section 1.1). Replies and announcements have taught the link the guest's MAC
// already.
func (h *Handler) arpFromTap(p *packet.Packet) {
	if !h.cfg.V4.Enabled {
		h.link.Drop(packet.DropDisabled)
		return
	}
	req, ok := packet.ParseARP(p.L3)
	if !ok {
		h.link.Drop(packet.DropTransport)
		return
	}
	target := req.TargetIP()
	if req.Op() != packet.ARPRequest || target == h.guest4 || target == req.SenderIP() {
		return
	}
	mac, ok := h.macOf(target)
	if !ok {
		return
	}
	h.sendARP(h.link.GuestMAC(), &packet.ARPHeader{
		Op:        packet.ARPReply,
		SenderMAC: mac, SenderIP: target,
		TargetMAC: req.SenderMAC(), TargetIP: req.SenderIP(),
	})
}

func (h *Handler) requestARP() {
	h.sendARP(packet.Broadcast, &packet.ARPHeader{
		Op:        packet.ARPRequest,
		SenderMAC: h.link.OurMAC(), SenderIP: h.our4,
		TargetIP: h.guest4,
	})
}

// sendARP leaves a refusal by the device to the link's counters: the guest asks
// again.
func (h *Handler) sendARP(dst packet.MAC, a *packet.ARPHeader) {
	n := packet.PutARP(h.buf[:], a)
	_ = h.link.SendPacket(dst, packet.EtherTypeARP, h.buf[:n])
}
