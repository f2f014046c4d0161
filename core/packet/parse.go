package packet

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/checksum"
)

// Drop is the reason why a frame is not processed further. Zero: it is fine.
type Drop uint8

// Reasons for dropping a frame.
const (
	DropNone        Drop = iota
	DropShort            // shorter than its headers say, or than any header
	DropEtherType        // neither IPv4, IPv6 nor ARP
	DropIPHeader         // inconsistent IP header
	DropChecksum         // wrong IP or transport checksum
	DropFragment         // IP fragment, to Parse; elsewhere one that makes no whole
	DropExtension        // unknown or endless IPv6 extension headers
	DropAddress          // source or destination that may not appear on a link
	DropProtocol         // IP protocol that is not served
	DropTransport        // inconsistent transport header
	DropDisabled         // family or protocol switched off
	DropOffload          // inconsistent virtio-net header
	DropNoFlow           // belongs to no flow and may not start one
	DropTableFull        // no slot for another flow
	DropNoSocket         // the host refused a socket
	DropQueueFull        // the guest's or the host's queue is full
	DropUnsupported      // valid, but of a kind that is not translated
	NumDrops             // number of reasons
)

var dropNames = [NumDrops]string{
	"none", "short", "ethertype", "ip-header", "checksum", "fragment", "extension", "address", "protocol",
	"transport", "disabled", "offload", "no-flow", "table-full", "no-socket", "queue-full", "unsupported",
}

// String gives a short name for counters and logs.
func (d Drop) String() string {
	if d < NumDrops {
		return dropNames[d]
	}
	return "unknown"
}

// GSO tells how a super-frame is cut into packets.
type GSO uint8

// Kinds of segmentation.
const (
	GSONone GSO = iota
	GSOTCP      // TCP segments of GSOSize bytes of payload
	GSOUDP      // UDP datagrams of GSOSize bytes of payload
)

// Packet is the parsed form of one frame. It is filled in place by Parse and
// reused; its slices point into the frame and live as long as that.
type Packet struct {
	EthDst, EthSrc MAC
	EtherType      uint16

	// The fields below are zero for ARP.
	Src, Dst Addr
	Proto    uint8 // transport protocol, extension headers skipped
	TTL      uint8

	L3 []byte // from the IP (or ARP) header on, without Ethernet padding
	L4 []byte // from the transport header on

	// Set by the link from the virtio-net header.
	GSO     GSO
	GSOSize uint16
	// CsumOK: the transport checksum was checked, or need not be.
	CsumOK bool
}

// Parse fills p from one Ethernet frame. The transport header is not looked at. Of
// a fragment it gives DropFragment, and p is good for Fragment and nothing else.
func (p *Packet) Parse(frame []byte) Drop {
	*p = Packet{}
	if len(frame) < EthLen {
		return DropShort
	}
	p.EthDst = MAC(frame[0:6])
	p.EthSrc = MAC(frame[6:12])
	p.EtherType = binary.BigEndian.Uint16(frame[12:14])
	p.L3 = frame[EthLen:]
	switch p.EtherType {
	case EtherTypeIP4:
		return p.parseIPv4()
	case EtherTypeIP6:
		return p.parseIPv6()
	case EtherTypeARP:
		return DropNone
	}
	return DropEtherType
}

func (p *Packet) parseIPv4() Drop {
	b := p.L3
	if len(b) < IPv4Len {
		return DropShort
	}
	hdrLen := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:4]))
	if b[0]>>4 != 4 || hdrLen < IPv4Len || total < hdrLen {
		return DropIPHeader
	}
	if total > len(b) {
		return DropShort
	}
	b = b[:total:total]
	if checksum.Sum(b[:hdrLen], 0) != 0xffff {
		return DropChecksum
	}
	p.TTL, p.Proto = b[8], b[9]
	p.Src = AddrFrom4([4]byte(b[12:16]))
	p.Dst = AddrFrom4([4]byte(b[16:20]))
	p.L3, p.L4 = b, b[hdrLen:]
	if binary.BigEndian.Uint16(b[6:8])&0x3fff != 0 { // MF or offset
		return DropFragment
	}
	return DropNone
}

func (p *Packet) parseIPv6() Drop {
	b := p.L3
	if len(b) < IPv6Len {
		return DropShort
	}
	if b[0]>>4 != 6 {
		return DropIPHeader
	}
	total := IPv6Len + int(binary.BigEndian.Uint16(b[4:6]))
	if total > len(b) {
		return DropShort
	}
	b = b[:total:total]
	p.TTL = b[7]
	p.Src = Addr(b[8:24])
	p.Dst = Addr(b[24:40])
	if p.Src.Is4() || p.Dst.Is4() { // IPv4-mapped never on a wire, RFC 4291 2.5.5.2
		return DropAddress
	}
	p.L3 = b
	return p.skipExtensions(b[IPv6Len:], b[6])
}

// skipExtensions finds the transport header (RFC 8200 section 4.1). The walk is
// bounded: each step consumes at least 8 bytes.
func (p *Packet) skipExtensions(b []byte, next uint8) Drop {
	for {
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(b) < 8 {
				return DropShort
			}
			extLen := 8 + int(b[1])*8
			if extLen > len(b) {
				return DropShort
			}
			next, b = b[0], b[extLen:]
		case protoFragment:
			p.Proto, p.L4 = next, b
			return DropFragment
		case 50, 51, 59, 135, 139, 140, 253, 254: // ESP, AH, none, and what RFC 7045 lists
			return DropExtension
		default:
			p.Proto, p.L4 = next, b
			return DropNone
		}
	}
}

// L4Offset is where the transport header starts, in bytes from the start of the
// frame.
func (p *Packet) L4Offset() int { return EthLen + len(p.L3) - len(p.L4) }

// VerifyL4 checks the checksum of TCP, UDP, ICMP and ICMPv6; those of other
// protocols are not known and pass. An IPv4 UDP checksum of zero is accepted (RFC
// 768), and so are bytes behind a datagram, which it does not cover (RFC 9868).
func (p *Packet) VerifyL4() bool {
	l4, sum := p.L4, uint16(0)
	switch p.Proto {
	case ProtoUDP:
		u, ok := ParseUDP(l4)
		if !ok {
			return false
		}
		if p.Src.Is4() && u[UDPCsumOff] == 0 && u[UDPCsumOff+1] == 0 {
			return true
		}
		l4 = u
		sum = PseudoSum(p.L3, p.Proto, len(u))
	case ProtoTCP, ProtoICMPv6:
		sum = PseudoSum(p.L3, p.Proto, len(l4))
	case ProtoICMP:
	default:
		return true
	}
	return checksum.Sum(l4, sum) == 0xffff
}

// Unsummed tells whether the checksum of a TCP, UDP or ICMP packet is zero, as one that
// was left to hardware may be.
func (p *Packet) Unsummed() bool {
	off := ICMPCsumOff
	switch p.Proto {
	case ProtoTCP:
		off = TCPCsumOff
	case ProtoUDP:
		off = UDPCsumOff
	case ProtoICMP, ProtoICMPv6:
	default:
		return false
	}
	return len(p.L4) >= off+2 && p.L4[off] == 0 && p.L4[off+1] == 0
}
