package packet

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/seqnum"
)

// MaxICMPError is the largest packet that PutICMPError makes, in bytes: an
// ICMPv6 error stays within the minimum MTU (RFC 4443 section 2.4 c), an ICMP
// one within 576 bytes (RFC 1812 section 4.3.2.3).
const (
	MaxICMPError  = 1280
	maxICMPError4 = 576
)

// ICMPError describes an ICMP or ICMPv6 error message to the guest.
type ICMPError struct {
	// Src is who reports the error, Dst who made the packet that it is about.
	Src, Dst   Addr
	Type, Code uint8
	// Info stands in bytes 4 to 7: the MTU of "fragmentation needed" and
	// "packet too big", else zero.
	Info uint32
	// Peer and Proto complete the IP header of the quoted packet, which went
	// from Dst to Peer.
	Peer  Addr
	Proto uint8
}

// PutICMPError writes a complete packet to b, of at least MaxICMPError bytes, and
// returns its length. It quotes a rebuilt IP header, the transport header l4, of
// even length, and as much of payload as fits. csumOff is where l4 has its
// checksum, which is computed for what is quoted; negative: it stays as it is.
func PutICMPError(b []byte, e *ICMPError, l4, payload []byte, csumOff int) int {
	outer := IPHeader{Src: e.Src, Dst: e.Dst, Proto: ProtoICMPv6, TTL: DefaultTTL}
	limit := MaxICMPError
	if e.Dst.Is4() {
		outer.Proto, limit = ProtoICMP, maxICMPError4
	}
	quote := IPHeader{Src: e.Dst, Dst: e.Peer, Proto: e.Proto, TTL: DefaultTTL}
	heads := outer.IPLen() + ICMPLen + quote.IPLen() + len(l4)
	payload = payload[:min(len(payload), limit-heads)]
	quote.PayloadLen = len(l4) + len(payload)
	outer.PayloadLen = ICMPLen + quote.IPLen() + quote.PayloadLen

	ipLen := PutIP(b, &outer)
	n := ipLen + PutICMP(b[ipLen:], e.Type, e.Code, e.Info)
	quoted := b[n:]
	n += PutIP(quoted, &quote)
	l4At := n
	n += copy(b[n:], l4)
	n += copy(b[n:], payload)
	if csumOff >= 0 {
		setChecksum(quoted, b[l4At:n], e.Proto, csumOff)
	}
	SetICMPChecksum(b[:n], ipLen)
	return n
}

// setChecksum completes the transport packet l4 behind the IP header at the start of ip.
func setChecksum(ip, l4 []byte, proto uint8, csumOff int) {
	sum := uint16(0)
	if proto != ProtoICMP {
		sum = PseudoSum(ip, proto, len(l4))
	}
	l4[csumOff], l4[csumOff+1] = 0, 0
	sum = ^SumParts(l4, nil, sum)
	if sum == 0 && proto == ProtoUDP {
		sum = 0xffff // zero means "none" in UDP (RFC 768)
	}
	l4[csumOff], l4[csumOff+1] = byte(sum>>8), byte(sum)
}

// MinMTU6 is the least MTU that links may have for IPv6 (RFC 8200 section 5), in bytes.
// The IPv4 limit is next to none; minMTU4 is what Linux believes of others
// (net.ipv4.route.min_pmtu), which bounds the work that such a message can make.
const (
	MinMTU6 = 1280
	minMTU4 = 552
)

// TooBig tells whether m, of the protocol proto, says that a packet is too long for its
// way, and how long it may be, in bytes (RFC 1191 section 4, RFC 4443 section 3.2). Who
// claims an MTU that no link has is not believed (RFC 8201 section 4).
func TooBig(m ICMP, proto uint8) (mtu uint16, ok bool) {
	least := uint32(MinMTU6)
	switch {
	case proto == ProtoICMP && m.Type() == ICMPUnreachable && m.Code() == ICMPCodeFragNeeded:
		least = minMTU4
	case proto != ProtoICMPv6 || m.Type() != ICMPv6TooBig:
		return 0, false
	}
	info := binary.BigEndian.Uint32(m[4:])
	return uint16(info), least <= info && info <= maxIPLen
}

// Quoted is what an ICMP error message tells about the packet that caused it.
type Quoted struct {
	Src, Dst         Addr
	Proto            uint8
	SrcPort, DstPort uint16       // of TCP and UDP; of an ICMP echo: 0 and the identifier
	Seq              seqnum.Value // of TCP
}

// ParseQuoted reads the packet quoted in the error message m. Only the first 8
// bytes of its transport header need be there (RFC 792).
func ParseQuoted(m ICMP, q *Quoted) bool {
	if len(m) < ICMPLen+1 {
		return false
	}
	b := m.Payload()
	var l4 []byte
	switch b[0] >> 4 {
	case 4:
		hdrLen := int(b[0]&0xf) * 4
		if hdrLen < IPv4Len || len(b) < hdrLen+8 || b[6]&0x1f != 0 || b[7] != 0 {
			return false // the ports are in the first fragment only
		}
		q.Src, q.Dst, q.Proto = AddrFrom4([4]byte(b[12:16])), AddrFrom4([4]byte(b[16:20])), b[9]
		l4 = b[hdrLen:]
	case 6:
		if len(b) < IPv6Len+8 {
			return false
		}
		q.Src, q.Dst, q.Proto = Addr(b[8:24]), Addr(b[24:40]), b[6]
		l4 = b[IPv6Len:]
	default:
		return false
	}
	if q.Proto == ProtoICMP || q.Proto == ProtoICMPv6 {
		q.SrcPort, q.DstPort = 0, ICMP(l4).ID()
		return true
	}
	q.SrcPort, q.DstPort = UDP(l4).SrcPort(), UDP(l4).DstPort()
	if q.Proto == ProtoTCP {
		q.Seq = TCP(l4).Seq()
	}
	return true
}
