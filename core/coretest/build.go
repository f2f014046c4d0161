package coretest

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/core/checksum"
	"github.com/pasta-net/pasta/core/packet"
)

// TTL is the TTL or hop limit of built packets.
const TTL = 64

// Unhex decodes hexadecimal test data; blanks do not matter.
func Unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Frame builders return complete Ethernet frames from the guest to us, with valid
// checksums and without virtio-net header.

// UDP builds a UDP datagram.
func UDP(src, dst netip.AddrPort, payload []byte) []byte {
	var h [packet.UDPLen]byte
	packet.PutUDP(h[:], src.Port(), dst.Port(), len(payload))
	return transport(src.Addr(), dst.Addr(), packet.ProtoUDP, packet.UDPCsumOff, h[:], payload)
}

// TCP builds a TCP segment; the ports of h are taken from src and dst.
func TCP(src, dst netip.AddrPort, h packet.TCPHeader, payload []byte) []byte {
	var b [packet.TCPMaxLen]byte
	h.SrcPort, h.DstPort = src.Port(), dst.Port()
	n := packet.PutTCP(b[:], &h)
	return transport(src.Addr(), dst.Addr(), packet.ProtoTCP, packet.TCPCsumOff, b[:n], payload)
}

// Echo builds an ICMP or ICMPv6 echo request.
func Echo(src, dst netip.Addr, id, seq uint16, payload []byte) []byte {
	typ := uint8(packet.ICMPEchoRequest)
	if src.Is6() {
		typ = packet.ICMPv6EchoRequest
	}
	return ICMP(src, dst, typ, 0, uint32(id)<<16|uint32(seq), payload)
}

// ICMP builds an ICMP or ICMPv6 message; rest is bytes 4 to 7 of its header.
func ICMP(src, dst netip.Addr, typ, code uint8, rest uint32, payload []byte) []byte {
	var h [packet.ICMPLen]byte
	packet.PutICMP(h[:], typ, code, rest)
	proto := uint8(packet.ProtoICMP)
	if src.Is6() {
		proto = packet.ProtoICMPv6
	}
	return transport(src, dst, proto, packet.ICMPCsumOff, h[:], payload)
}

func transport(src, dst netip.Addr, proto uint8, csumOff int, header, payload []byte) []byte {
	l4 := append(append([]byte(nil), header...), payload...)
	b := IP(src, dst, proto, l4)
	ip := b[packet.EthLen:]
	sum := uint16(0)
	if proto != packet.ProtoICMP {
		sum = packet.PseudoSum(ip, proto, len(l4))
	}
	sum = ^checksum.Sum(l4, sum)
	if sum == 0 && proto == packet.ProtoUDP {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[len(b)-len(l4)+csumOff:], sum)
	return b
}

// IP builds a packet with any transport part.
func IP(src, dst netip.Addr, proto uint8, l4 []byte) []byte {
	h := packet.IPHeader{
		Src: packet.AddrFrom(src), Dst: packet.AddrFrom(dst), Proto: proto, TTL: TTL, PayloadLen: len(l4),
	}
	b := make([]byte, packet.EthLen+packet.IPv6Len, packet.EthLen+packet.IPv6Len+len(l4))
	etherType := uint16(packet.EtherTypeIP6)
	if src.Is4() {
		etherType = packet.EtherTypeIP4
	}
	packet.PutEthernet(b, OurMAC, GuestMAC, etherType)
	n := packet.PutIP(b[packet.EthLen:], &h)
	return append(b[:packet.EthLen+n], l4...)
}

// SetTTL changes TTL or hop limit of a built frame.
func SetTTL(frame []byte, ttl uint8) []byte {
	ip := frame[packet.EthLen:]
	if ip[0]>>4 == 6 {
		ip[7] = ttl
		return frame
	}
	ip[8], ip[10], ip[11] = ttl, 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^checksum.Sum(ip[:packet.IPv4Len], 0))
	return frame
}

// Partial turns a built TCP or UDP frame into one whose checksum is left to the
// device, and gives the virtio-net header to go with it. gsoSize, if not zero,
// makes it a super-frame of segments with so many bytes of payload.
func Partial(frame []byte, gsoSize int) (Vnet, []byte) {
	var p packet.Packet
	p.Parse(frame)
	v := Vnet{Flags: NeedsCsum, CsumStart: uint16(len(frame) - len(p.L4)), CsumAt: packet.UDPCsumOff, GSOSize: uint16(gsoSize)}
	hdrLen := packet.UDPLen
	gsoType := uint8(GSOUDP)
	if p.Proto == packet.ProtoTCP {
		v.CsumAt = packet.TCPCsumOff
		hdrLen = packet.TCP(p.L4).HeaderLen()
		gsoType = GSOTCP4
		if !p.Src.Is4() {
			gsoType = GSOTCP6
		}
	}
	if gsoSize != 0 {
		v.GSOType = gsoType
	}
	v.HdrLen = v.CsumStart + uint16(hdrLen)
	binary.BigEndian.PutUint16(p.L4[v.CsumAt:], packet.PseudoSum(p.L3, p.Proto, len(p.L4)))
	return v, frame
}
