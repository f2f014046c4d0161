package dhcp

import (
	"bytes"

	"github.com/pasta-net/pasta/core/packet"
)

// maxDatagram6 keeps replies within the MTU of any IPv6 link (RFC 8200 section 5).
const maxDatagram6 = 1280

// fromTap6 answers clients, which send to multicast addresses from their
// link-local one (RFC 8415 section 14.2); anything else is nothing for us.
func (s *Server) fromTap6(p *packet.Packet, b []byte) {
	if !p.Dst.IsMulticast() || !p.Src.IsLinkLocal() {
		s.link.Drop(packet.DropAddress)
		return
	}
	var r request6
	if !r.parse(b, s.guest6) {
		s.link.Drop(packet.DropTransport)
		return
	}
	if !s.accepts6(&r) {
		return
	}
	n := s.putReply6(s.room(s.linkLocal), &r)
	s.log.answered(logText6(&r), p.Src.Netip().String())
	xid := uint32(r.xid[0])<<16 | uint32(r.xid[1])<<8 | uint32(r.xid[2])
	h := packet.IPHeader{Src: s.linkLocal, Dst: p.Src, Flow: xid}
	s.send(s.link.GuestMAC(), &h, serverPort6, clientPort6, n)
}

// accepts6 applies the validity rules of RFC 8415 section 16 about who may name a
// server. REBIND may name us, too: the C pasta demands it, against section 16.7.
func (s *Server) accepts6(r *request6) bool {
	unnamed, ours := r.serverID == nil, bytes.Equal(r.serverID, s.serverID)
	switch r.msgType {
	case typeSolicit, typeConfirm:
		return unnamed
	case typeRequest6, typeRenew:
		return ours
	case typeRebind:
		return unnamed || ours
	case typeInfoRequest:
		return !r.hasIA && (unnamed || ours)
	}
	return false
}

func logText6(r *request6) string {
	switch r.msgType {
	case typeSolicit:
		return "DHCPv6: advertise to solicit"
	case typeRequest6:
		return "DHCPv6: reply to request"
	case typeConfirm:
		return "DHCPv6: reply to confirm"
	case typeRenew:
		return "DHCPv6: reply to renew"
	case typeRebind:
		return "DHCPv6: reply to rebind"
	}
	return "DHCPv6: reply to information-request"
}

// refuses tells whether r holds to an address that is not the guest's.
func (r *request6) refuses() bool {
	switch r.msgType {
	case typeRequest6, typeRenew, typeConfirm:
		return r.foreign.code != 0
	}
	return false
}

// putReply6 writes the answer to r and returns its length.
func (s *Server) putReply6(b []byte, r *request6) int {
	limit := maxDatagram6 - packet.IPv6Len - packet.UDPLen
	w := b[:0:limit]
	reply := byte(typeReply)
	if r.msgType == typeSolicit {
		reply = typeAdvertise
	}
	w = append(append(w, reply), r.xid[:]...)
	w = append(appendOption6(w, opt6ServerID, len(s.serverID)), s.serverID...)
	if r.refuses() {
		w = appendRefusal6(w, r)
	} else {
		w = s.appendLease6(w, r.iaNA)
	}
	w = append(appendOption6(w, opt6ClientID, len(r.clientID)), r.clientID...)
	if !r.refuses() {
		w = append(w, s.tail6...)
	}
	return len(w)
}
