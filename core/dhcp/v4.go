package dhcp

import (
	"encoding/binary"
	"net"

	"github.com/pasta-net/pasta/core/packet"
)

// Lengths in bytes.
const (
	// minDatagram is the IPv4 packet that every client takes (RFC 2131
	// section 2).
	minDatagram = 576
	// minOptions is the space for options in the vendor area of BOOTP (RFC
	// 951 section 3: 64 bytes with the cookie).
	minOptions = 60
)

// answer4 is a kind of reply; the zero value is none.
type answer4 struct {
	msgType byte
	rapid   bool
	text    string // for the log
}

// answerTo decides by the kind of message alone: whatever address or server the
// client asks for, it gets the one address that there is, unless there is a pool.
func answerTo(r *request4) answer4 {
	switch {
	case !r.hasType:
		return answer4{msgType: typeACK, text: "BOOTP: ack to request"}
	case r.msgType == typeDiscover && r.rapid:
		return answer4{msgType: typeACK, rapid: true, text: "DHCP: ack to discover (Rapid Commit)"}
	case r.msgType == typeDiscover:
		return answer4{msgType: typeOffer, text: "DHCP: offer to discover"}
	case r.msgType == typeRequest:
		return answer4{msgType: typeACK, text: "DHCP: ack to request"}
	}
	return answer4{}
}

func (s *Server) fromTap4(b []byte) {
	var r request4
	if !r.parse(b) {
		s.link.Drop(packet.DropTransport)
		return
	}
	a, addr := answerTo(&r), s.guest4
	if s.pool != nil {
		a, addr = s.lease4(&r, a)
	}
	if a.msgType == 0 {
		return
	}
	n := s.putReply4(s.room(s.our4), &r, a, addr)
	mac := r.clientMAC()
	s.log.answered(a.text, net.HardwareAddr(mac[:]).String())
	if a.msgType == typeNAK {
		s.broadcast4(n)
		return
	}
	s.sendReply4(&r, addr, n)
}

// putReply4 writes the reply a to r, which leases addr, and returns its length. The header is the
// client's with our fields changed (RFC 2131 table 3); sname and file would
// mean a boot server and stay empty.
func (s *Server) putReply4(b []byte, r *request4, a answer4, addr packet.Addr) int {
	copy(b, r.header)
	b[offOp] = bootReply
	clear(b[offSecs:offFlags])
	copy(b[offYiaddr:offSiaddr], addr.Wire())
	clear(b[offSiaddr : offSiaddr+4])
	clear(b[offSname:offCookie])
	binary.BigEndian.PutUint32(b[offCookie:], magicCookie)
	values := &s.options4
	if a.msgType == typeNAK {
		values = s.nak4
	}
	values[optMessageType][0] = a.msgType
	values[optRapidCommit] = nil
	if a.rapid {
		values[optRapidCommit] = []byte{}
	}
	limit := s.maxDatagram(r) - packet.IPv4Len - packet.UDPLen
	w := writer4{values: values, b: b[offOptions:offOptions:limit], typeFirst: s.cfg.Link.TypeFirst}
	return offOptions + len(w.writeAll(r.params))
}

// maxDatagram bounds the reply to r: as long as the client takes and the link
// carries in one packet, but at least what every client must take.
func (s *Server) maxDatagram(r *request4) int {
	n := min(r.maxLen, maxReply)
	if s.cfg.MTU != 0 {
		n = min(n, s.cfg.MTU)
	}
	return max(n, minDatagram)
}

// sendReply4 sends n bytes of reply to addr, the guest's new address, which it may
// not have yet: hence to its MAC without ARP. A client that cannot take unicast
// then has set the broadcast flag (RFC 2131 section 4.1).
func (s *Server) sendReply4(r *request4, addr packet.Addr, n int) {
	if r.broadcast() {
		s.broadcast4(n)
		return
	}
	s.send(s.link.GuestMAC(), &packet.IPHeader{Src: s.our4, Dst: addr}, serverPort4, clientPort4, n)
}

// broadcast4 sends n bytes of reply to everybody, as refusals are (RFC 2131 section
// 4.3.2).
func (s *Server) broadcast4(n int) {
	all := packet.AddrFrom4([4]byte{255, 255, 255, 255})
	s.send(packet.Broadcast, &packet.IPHeader{Src: s.our4, Dst: all}, serverPort4, clientPort4, n)
}
