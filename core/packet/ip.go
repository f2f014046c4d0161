package packet

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/checksum"
)

// IP constants (RFC 791, RFC 8200, IANA protocol numbers).
const (
	IPv4Len = 20 // header without options
	IPv6Len = 40

	// MaxLen is the length of the longest packet, in bytes: an IPv6 header does
	// not count in its length field. Jumbograms (RFC 2675) are not known here.
	MaxLen = IPv6Len + maxIPLen

	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58

	protoHopByHop = 0
	protoRouting  = 43
	protoFragment = 44
	protoDestOpts = 60

	maxIPLen = 65535 // that a length field can tell, in bytes

	// DefaultTTL is the TTL and hop limit of packets that we make.
	DefaultTTL = 255
)

// IPHeader says what PutIP writes.
type IPHeader struct {
	Src, Dst Addr
	Proto    uint8
	TTL      uint8  // TTL or hop limit
	Flow     uint32 // IPv6 flow label
	// PayloadLen counts the bytes after the IP header.
	PayloadLen int
}

// IPLen is the length in bytes of the header that PutIP would write.
func (h *IPHeader) IPLen() int {
	if h.Src.Is4() {
		return IPv4Len
	}
	return IPv6Len
}

// PutIP writes an IPv4 header (id 0, DF set, checksum filled in) or an IPv6
// header, by the family of h.Src, and returns its length.
func PutIP(b []byte, h *IPHeader) int {
	if h.Src.Is4() {
		putIPv4(b, h)
		return IPv4Len
	}
	putIPv6(b, h)
	return IPv6Len
}

func putIPv4(b []byte, h *IPHeader) {
	_ = b[IPv4Len-1]
	b[0], b[1] = 0x45, 0
	binary.BigEndian.PutUint16(b[2:], uint16(IPv4Len+h.PayloadLen))
	binary.BigEndian.PutUint32(b[4:], 0x4000) // id 0, DF
	b[8], b[9] = h.TTL, h.Proto
	copy(b[12:], h.Src[12:])
	copy(b[16:], h.Dst[12:])
	setIPv4Checksum(b)
}

func putIPv6(b []byte, h *IPHeader) {
	_ = b[IPv6Len-1]
	binary.BigEndian.PutUint32(b, 6<<28|h.Flow&0xfffff)
	binary.BigEndian.PutUint16(b[4:], uint16(h.PayloadLen))
	b[6], b[7] = h.Proto, h.TTL
	copy(b[8:], h.Src[:])
	copy(b[24:], h.Dst[:])
}

// SetIPPayloadLen changes the length fields of a header made by PutIP.
func SetIPPayloadLen(b []byte, payloadLen int) {
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(IPv4Len+payloadLen))
		setIPv4Checksum(b)
		return
	}
	binary.BigEndian.PutUint16(b[4:], uint16(payloadLen))
}

// Destination is where the packet goes whose IP header is at the start of b.
func Destination(b []byte) Addr {
	if b[0]>>4 == 4 {
		return AddrFrom4([4]byte(b[16:20]))
	}
	return Addr(b[24:40])
}

// AllowFragments gives the header of an IPv4 packet that PutIP made, which says "don't
// fragment", the identification id in place of that (RFC 6864 section 4.1).
func AllowFragments(b []byte, id uint16) {
	binary.BigEndian.PutUint32(b[4:], uint32(id)<<16)
	setIPv4Checksum(b)
}

// NextID raises the identification of an IPv4 header that allows fragments; others stay
// as they are. The header's checksum is left to SetIPPayloadLen.
func NextID(b []byte) {
	if b[0]>>4 == 4 && b[6]&0x40 == 0 {
		binary.BigEndian.PutUint16(b[4:], binary.BigEndian.Uint16(b[4:])+1)
	}
}

// setIPv4Checksum computes the checksum of a header without options.
func setIPv4Checksum(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], ^checksum.Sum(b[:IPv4Len], 0))
}

// CompleteIPv4 fills in the header checksum of an IPv4 packet if it is zero, and tells
// whether it was. b holds at least a header without options.
func CompleteIPv4(b []byte) bool {
	hdrLen := int(b[0]&0xf) * 4
	if b[10] != 0 || b[11] != 0 || hdrLen > len(b) {
		return false
	}
	binary.BigEndian.PutUint16(b[10:], ^checksum.Sum(b[:hdrLen], 0))
	return true
}

// PseudoSum is the pseudo-header sum for a transport packet of l4Len bytes
// behind the IP header at the start of b.
func PseudoSum(b []byte, proto uint8, l4Len int) uint16 {
	if b[0]>>4 == 4 {
		return checksum.Pseudo(b[12:16], b[16:20], proto, l4Len)
	}
	return checksum.Pseudo(b[8:24], b[24:40], proto, l4Len)
}

// SumParts chains the sum of a header of even length and its payload to initial.
func SumParts(header, payload []byte, initial uint16) uint16 {
	return checksum.Sum(payload, checksum.Sum(header, initial))
}
