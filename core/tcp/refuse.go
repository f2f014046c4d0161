package tcp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// refuse tells the guest that the host cannot connect, in the way it would have
// learnt it on the host's own link: RST when the peer refused, ICMP
// unreachable when there is no way to it, and silence when nothing answered.
func (h *Handler) refuse(p *packet.Packet, t packet.TCP, errno syscall.Errno) {
	if errno == syscall.ETIMEDOUT {
		return
	}
	typ, code := unreachable(errno, p.Src.Is4())
	if typ == 0 {
		h.sendReset(p, t)
		return
	}
	h.sendUnreachable(&p.Src, &p.Dst, t.SrcPort(), t.DstPort(), t.Seq(), typ, code)
}

// connectFailed is refuse for a connection whose attempt took time.
func (h *Handler) connectFailed(i uint32, c *conn, errno syscall.Errno) {
	k := *h.table.Key(i)
	syn := c.rcvNxt - 1
	h.release(i, c)
	if errno == syscall.ETIMEDOUT {
		return
	}
	if typ, code := unreachable(errno, k.Guest.Is4()); typ != 0 {
		h.sendUnreachable(&k.Guest, &k.Peer, k.GuestPort, k.PeerPort, syn, typ, code)
		return
	}
	h.sendControl(&k, packet.RST|packet.ACK, 0, syn+1)
}

// unreachable gives type and code of the ICMP message that makes a Linux guest
// report errno; type 0: there is none, RST it is.
func unreachable(errno syscall.Errno, v4 bool) (typ, code uint8) {
	codes := [3]uint8{packet.ICMPv6CodeNoRoute, packet.ICMPv6CodeAddr, packet.ICMPv6CodeAdmin}
	typ = packet.ICMPv6Unreachable
	if v4 {
		codes = [3]uint8{packet.ICMPCodeNet, packet.ICMPCodeHost, packet.ICMPCodeAdmin}
		typ = packet.ICMPUnreachable
	}
	switch errno {
	case syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL:
		return typ, codes[0]
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return typ, codes[1]
	case syscall.EACCES, syscall.EPERM:
		return typ, codes[2]
	}
	return 0, 0
}

// sendUnreachable sends an ICMP error about the SYN from guest to peer, quoting its
// IP header and the 8 bytes behind it (RFC 792; RFC 4443 section 3.1).
func (h *Handler) sendUnreachable(guest, peer *packet.Addr, guestPort, peerPort uint16, seq seqnum.Value, typ, code uint8) {
	from := h.errorSource(peer)
	proto := uint8(packet.ProtoICMPv6)
	if guest.Is4() {
		proto = packet.ProtoICMP
	}
	quoted := packet.IPHeader{Src: *guest, Dst: *peer, Proto: packet.ProtoTCP, TTL: packet.DefaultTTL, PayloadLen: packet.TCPLen}
	outer := packet.IPHeader{Src: from, Dst: *guest, Proto: proto, TTL: packet.DefaultTTL}
	outer.PayloadLen = packet.ICMPLen + quoted.IPLen() + packet.TCPLen
	b := h.icmpRoom[:outer.IPLen()+outer.PayloadLen]
	n := packet.PutIP(b, &outer)
	n += packet.PutICMP(b[n:], typ, code, 0)
	n += packet.PutIP(b[n:], &quoted)
	h.hdr = packet.TCPHeader{SrcPort: guestPort, DstPort: peerPort, Seq: seq, Flags: packet.SYN}
	packet.PutTCP(b[n:], &h.hdr)
	packet.SetICMPChecksum(b, outer.IPLen())
	etherType := uint16(packet.EtherTypeIP6)
	if guest.Is4() {
		etherType = packet.EtherTypeIP4
	}
	_ = h.link.SendPacket(h.link.GuestMAC(), etherType, b)
}

// errorSource is who reports an error about peer: our own address as the
// guest's router, or else the peer itself.
func (h *Handler) errorSource(peer *packet.Addr) packet.Addr {
	if our := h.nat.Family(*peer).Our; !our.IsZero() {
		return our
	}
	if !peer.Is4() && !h.nat.OurLinkLocal.IsZero() {
		return h.nat.OurLinkLocal
	}
	return *peer
}
