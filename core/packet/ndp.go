package packet

import "encoding/binary"

// Neighbor Discovery option types (RFC 4861 section 4.6, RFC 8106 section 5).
const (
	NDOptSourceLink = 1
	NDOptTargetLink = 2
	NDOptPrefix     = 3
	NDOptMTU        = 5
	NDOptRDNSS      = 25
	NDOptDNSSL      = 31
)

// Lengths in bytes of Neighbor Discovery messages without their options, and
// of a link-layer address option for Ethernet.
const (
	NDRouterSolicitLen = 8
	NDRouterAdvertLen  = 16
	NDNeighborLen      = 24 // solicitation and advertisement
	NDRedirectLen      = 40
	NDLinkOptLen       = 8
)

// Flags of a Neighbor Advertisement (RFC 4861 section 4.4).
const (
	NDRouter    = 0x80
	NDSolicited = 0x40
	NDOverride  = 0x20
)

// AllNodes is ff02::1 and AllNodesMAC the Ethernet group it is sent to (RFC
// 2464 section 7).
var (
	AllNodes    = Addr{0: 0xff, 1: 0x02, 15: 1}
	AllNodesMAC = MAC{0x33, 0x33, 0, 0, 0, 1}
)

// SolicitedNode is the multicast address on which the owner of a, an IPv6
// address, listens for solicitations (RFC 4291 section 2.7.1).
func SolicitedNode(a Addr) Addr {
	return Addr{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
}

// ND is a view of a Neighbor Discovery message, types 133 to 137.
type ND []byte

// ParseND makes the checks that RFC 4861 sections 6.1 and 7.1 demand of every
// Neighbor Discovery message. The checksum is the link's business.
func ParseND(p *Packet) (ND, bool) {
	b := p.L4
	if p.Proto != ProtoICMPv6 || len(b) < ICMPLen || p.TTL != 255 || b[1] != 0 {
		return nil, false
	}
	n := ndLen(b[0])
	if n == 0 || len(b) < n || !ndOptionsValid(b[n:]) {
		return nil, false
	}
	return ND(b), true
}

// ndLen is the length of a message of type typ before its options; 0: not ours.
func ndLen(typ uint8) int {
	switch typ {
	case ICMPv6RouterSolicit:
		return NDRouterSolicitLen
	case ICMPv6RouterAdvert:
		return NDRouterAdvertLen
	case ICMPv6NeighborSolicit, ICMPv6NeighborAdvert:
		return NDNeighborLen
	case ICMPv6Redirect:
		return NDRedirectLen
	}
	return 0
}

// ndOptionsValid walks options of 8-byte units; none may be empty or cut.
func ndOptionsValid(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// Type is the ICMPv6 type.
func (m ND) Type() uint8 { return m[0] }

// Target is the address that a Neighbor Solicitation or Advertisement is about.
func (m ND) Target() Addr { return Addr(m[8:24]) }

// PutNeighbor writes a Neighbor Solicitation or Advertisement about target with
// zero checksum and one link-layer address option: mac as the source's in a
// solicitation, as the target's in an advertisement. It returns the length.
func PutNeighbor(b []byte, typ, flags uint8, target Addr, mac MAC) int {
	PutICMP(b, typ, 0, uint32(flags)<<24)
	copy(b[8:NDNeighborLen], target[:])
	opt := uint8(NDOptSourceLink)
	if typ == ICMPv6NeighborAdvert {
		opt = NDOptTargetLink
	}
	return NDNeighborLen + PutNDLink(b[NDNeighborLen:], opt, mac)
}

// PutNDLink writes a link-layer address option of type opt (RFC 4861 section
// 4.6.1) and returns its length.
func PutNDLink(b []byte, opt uint8, mac MAC) int {
	_ = b[NDLinkOptLen-1]
	binary.BigEndian.PutUint16(b, uint16(opt)<<8|NDLinkOptLen/8)
	copy(b[2:], mac[:])
	return NDLinkOptLen
}
