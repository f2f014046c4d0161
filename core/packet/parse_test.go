package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pasta-net/pasta/core/checksum"
)

var (
	host4, peer4 = AddrFrom4([4]byte{10, 0, 0, 2}), AddrFrom4([4]byte{10, 0, 0, 1})
	host6, peer6 = Addr{0: 0xfd, 15: 2}, Addr{0: 0xfd, 15: 1}
)

// headerOf is an IP header from host to peer in the family of v4 or not.
func headerOf(v4 bool, proto uint8) IPHeader {
	if v4 {
		return IPHeader{Src: host4, Dst: peer4, Proto: proto, TTL: 64}
	}
	return IPHeader{Src: host6, Dst: peer6, Proto: proto, TTL: 64}
}

// frameOf is an Ethernet frame with the transport part l4.
func frameOf(h IPHeader, l4 []byte) []byte {
	h.PayloadLen = len(l4)
	b := make([]byte, EthLen+h.IPLen(), EthLen+h.IPLen()+len(l4))
	PutEthernet(b, macA, macB, etherTypeOf(h.Src))
	PutIP(b[EthLen:], &h)
	return append(b, l4...)
}

// udpFrame is a datagram with a valid checksum.
func udpFrame(v4 bool, payload string) []byte {
	l4 := make([]byte, UDPLen, UDPLen+len(payload))
	PutUDP(l4, 1000, 2000, len(payload))
	frame := frameOf(headerOf(v4, ProtoUDP), append(l4, payload...))
	return withChecksum(frame, ProtoUDP, UDPCsumOff)
}

// withChecksum fills in the transport checksum of a frame without IP options.
func withChecksum(frame []byte, proto uint8, csumOff int) []byte {
	ip := frame[EthLen:]
	ipLen := IPv6Len
	if ip[0]>>4 == 4 {
		ipLen = IPv4Len
	}
	l4 := ip[ipLen:]
	sum := ^checksum.Sum(l4, PseudoSum(ip, proto, len(l4)))
	binary.BigEndian.PutUint16(l4[csumOff:], sum)
	return frame
}

// fixIPv4 computes the header checksum anew.
func fixIPv4(frame []byte) []byte {
	ip := frame[EthLen:]
	n := min(int(ip[0]&0xf)*4, len(ip))
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^checksum.Sum(ip[:n], 0))
	return frame
}

// edit changes bytes of a frame from offset at on.
func edit(frame []byte, at int, b ...byte) []byte {
	copy(frame[at:], b)
	return frame
}

// parseCase is a frame and what Parse says of it. The cases are the seeds of
// FuzzParse too.
type parseCase struct {
	name  string
	frame []byte
	want  Drop
}

func parseCases() []parseCase {
	return append(ipv4Cases(), ipv6Cases()...)
}

func ipv4Cases() []parseCase {
	udp := func() []byte { return udpFrame(true, "payload") }
	const ip = EthLen
	return []parseCase{
		{"UDP", udp(), DropNone},
		{"don't fragment off", fixIPv4(edit(udp(), ip+6, 0)), DropNone},
		{"no frame", nil, DropShort},
		{"part of Ethernet header", udp()[:EthLen-1], DropShort},
		{"ARP", edit(udp(), 12, 0x08, 0x06), DropNone},
		{"VLAN", edit(udp(), 12, 0x81, 0x00), DropEtherType},
		{"802.3 length", edit(udp(), 12, 0x00, 0x20), DropEtherType},
		{"Ethernet header alone", udp()[:EthLen], DropShort},
		{"part of IPv4 header", udp()[:EthLen+IPv4Len-1], DropShort},
		{"version 6 in IPv4", edit(udp(), ip, 0x65), DropIPHeader},
		{"IHL 4", edit(udp(), ip, 0x44), DropIPHeader},
		{"total length below header", edit(udp(), ip+2, 0, 19), DropIPHeader},
		{"total length beyond frame", edit(udp(), ip+2, 0, 200), DropShort},
		{"options beyond total length", edit(udp()[:EthLen+IPv4Len], ip, 0x4f, 0, 0, 20), DropIPHeader},
		{"header checksum", edit(udp(), ip+10, 0, 0), DropChecksum},
		{"more fragments", fixIPv4(edit(udp(), ip+6, 0x20)), DropFragment},
		{"fragment offset", fixIPv4(edit(udp(), ip+6, 0x00, 0x01)), DropFragment},
		{"reserved flag", fixIPv4(edit(udp(), ip+6, 0x80)), DropNone},
	}
}

func ipv6Cases() []parseCase {
	udp := func() []byte { return udpFrame(false, "payload") }
	ext := func(next uint8, b ...byte) []byte { return frameOf(headerOf(false, next), b) }
	const ip = EthLen
	mapped := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}
	return []parseCase{
		{"UDP over IPv6", udp(), DropNone},
		{"part of IPv6 header", udp()[:EthLen+IPv6Len-1], DropShort},
		{"version 4 in IPv6", edit(udp(), ip, 0x40), DropIPHeader},
		{"payload length beyond frame", edit(udp(), ip+4, 0xff, 0xff), DropShort},
		{"mapped source", edit(udp(), ip+8, mapped...), DropAddress},
		{"mapped destination", edit(udp(), ip+24, mapped...), DropAddress},
		{"hop-by-hop", ext(protoHopByHop, ProtoUDP, 0, 1, 4, 0, 0, 0, 0), DropNone},
		{"routing of 16 bytes", ext(protoRouting, append([]byte{ProtoUDP, 1}, make([]byte, 14)...)...), DropNone},
		{"destination options twice", ext(protoDestOpts, protoDestOpts, 0, 0, 0, 0, 0, 0, 0, ProtoTCP, 0, 0, 0, 0, 0, 0, 0), DropNone},
		{"part of an extension", ext(protoHopByHop, ProtoUDP, 0, 0, 0, 0, 0, 0), DropShort},
		{"extension beyond packet", ext(protoDestOpts, ProtoUDP, 1, 0, 0, 0, 0, 0, 0), DropShort},
		{"fragment header", ext(protoFragment, ProtoUDP, 0, 0, 0, 0, 0, 0, 0), DropFragment},
		{"fragment behind hop-by-hop", ext(protoHopByHop, protoFragment, 0, 0, 0, 0, 0, 0, 0), DropFragment},
		{"ESP", ext(50, make([]byte, 16)...), DropExtension},
		{"AH", ext(51, make([]byte, 16)...), DropExtension},
		{"no next header", ext(59), DropExtension},
		{"mobility", ext(135, make([]byte, 8)...), DropExtension},
		{"empty unknown protocol", ext(200), DropNone},
	}
}

func TestParse(t *testing.T) {
	for _, tt := range parseCases() {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if got := p.Parse(tt.frame); got != tt.want {
				t.Errorf("Parse(% x): got %v, want %v", tt.frame, got, tt.want)
			}
		})
	}
}

// TestParseCasesReachEveryReason keeps the table, and with it the seeds of
// FuzzParse, complete.
func TestParseCasesReachEveryReason(t *testing.T) {
	reached := map[Drop]bool{}
	for _, c := range parseCases() {
		reached[c.want] = true
	}
	for _, d := range []Drop{
		DropNone, DropShort, DropEtherType, DropIPHeader, DropChecksum, DropFragment, DropExtension, DropAddress,
	} {
		if !reached[d] {
			t.Errorf("no case for %v", d)
		}
	}
}

func TestParseFields(t *testing.T) {
	const ttl = 17
	for _, v4 := range []bool{true, false} {
		h := headerOf(v4, ProtoTCP)
		h.TTL = ttl
		l4 := []byte("a transport part")
		frame := append(frameOf(h, l4), "padding"...)
		p := Packet{GSO: GSOUDP, GSOSize: 5, CsumOK: true} // of the frame before
		if d := p.Parse(frame); d != DropNone {
			t.Fatalf("IPv4 %v: %v", v4, d)
		}
		want := Packet{
			EthDst: macA, EthSrc: macB, EtherType: etherTypeOf(h.Src),
			Src: h.Src, Dst: h.Dst, Proto: ProtoTCP, TTL: ttl, L3: p.L3, L4: p.L4,
		}
		if !samePacket(&p, &want) {
			t.Errorf("IPv4 %v: got %+v, want %+v", v4, p, want)
		}
		if !bytes.Equal(p.L4, l4) || len(p.L3) != h.IPLen()+len(l4) || cap(p.L3) != len(p.L3) {
			t.Errorf("IPv4 %v: packet % x, transport part %q, want it without padding", v4, p.L3, p.L4)
		}
	}
}

// samePacket compares all but the slices.
func samePacket(a, b *Packet) bool {
	x, y := *a, *b
	x.L3, x.L4, y.L3, y.L4 = nil, nil, nil, nil
	return x.EthDst == y.EthDst && x.EthSrc == y.EthSrc && x.EtherType == y.EtherType && x.Src == y.Src && x.Dst == y.Dst &&
		x.Proto == y.Proto && x.TTL == y.TTL && x.GSO == y.GSO && x.GSOSize == y.GSOSize &&
		x.CsumOK == y.CsumOK
}

func TestParseSkipsIPv4Options(t *testing.T) {
	frame := frameOf(headerOf(true, ProtoUDP), append([]byte{1, 1, 1, 0}, "transport"...))
	frame[EthLen] = 0x46
	var p Packet
	if d := p.Parse(fixIPv4(frame)); d != DropNone || string(p.L4) != "transport" {
		t.Errorf("got %v and transport part %q, want none and %q", d, p.L4, "transport")
	}
}

func TestParseSkipsExtensionHeaders(t *testing.T) {
	hops := []byte{protoDestOpts, 0, 1, 4, 0, 0, 0, 0}
	dest := []byte{ProtoUDP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	frame := frameOf(headerOf(false, protoHopByHop), bytes.Join([][]byte{hops, dest, []byte("transport")}, nil))
	var p Packet
	if d := p.Parse(frame); d != DropNone || p.Proto != ProtoUDP || string(p.L4) != "transport" {
		t.Errorf("got %v, protocol %d and transport part %q, want none, UDP and %q", d, p.Proto, p.L4, "transport")
	}
}

func TestVerifyL4(t *testing.T) {
	zeroUDP := func(v4 bool) []byte {
		f := udpFrame(v4, "x")
		n := len(f) - 1 - UDPLen + UDPCsumOff
		return edit(f, n, 0, 0)
	}
	tcp := func(v4 bool) []byte {
		l4 := make([]byte, TCPLen)
		PutTCP(l4, &TCPHeader{Flags: ACK, WScale: -1})
		return withChecksum(frameOf(headerOf(v4, ProtoTCP), l4), ProtoTCP, TCPCsumOff)
	}
	flip := func(f []byte) []byte { f[len(f)-1] ^= 1; return f }
	tests := []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"UDP", udpFrame(true, "odd"), true},
		{"UDP over IPv6", udpFrame(false, "even"), true},
		{"UDP, flipped bit", flip(udpFrame(true, "odd")), false},
		{"UDP without checksum", zeroUDP(true), true},
		{"UDP over IPv6 without checksum", zeroUDP(false), false},
		{"UDP shorter than its header", frameOf(headerOf(true, ProtoUDP), make([]byte, 7)), false},
		{"UDP with bytes behind it", surplus(udpFrame(true, "abc"), "area"), true},
		{"UDP over IPv6 with bytes behind it", surplus(udpFrame(false, "abc"), "area"), true},
		{"TCP", tcp(true), true},
		{"TCP over IPv6, flipped bit", flip(tcp(false)), false},
		{"ICMP", frameOf(headerOf(true, ProtoICMP), []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}), true},
		{"ICMP, wrong", frameOf(headerOf(true, ProtoICMP), []byte{8, 0, 0, 0, 0, 0, 0, 0}), false},
		{"ICMPv6 without pseudo-header", frameOf(headerOf(false, ProtoICMPv6), []byte{128, 0, 0x7f, 0xff, 0, 0, 0, 0}), false},
		{"protocol whose checksum is not known", frameOf(headerOf(true, 132), []byte("any")), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if d := p.Parse(tt.frame); d != DropNone {
				t.Fatalf("does not parse: %v", d)
			}
			if got := p.VerifyL4(); got != tt.want {
				t.Errorf("VerifyL4 = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestUnsummed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		proto uint8
		l4    []byte
		want  bool
	}{
		{"TCP", ProtoTCP, make([]byte, TCPLen), true},
		{"TCP with a checksum", ProtoTCP, append(make([]byte, TCPCsumOff), 1, 0, 0, 0), false},
		{"UDP", ProtoUDP, make([]byte, UDPLen), true},
		{"UDP with a checksum", ProtoUDP, []byte{0, 0, 0, 0, 0, 8, 0, 1}, false},
		{"ICMP", ProtoICMP, make([]byte, ICMPLen), true},
		{"ICMP with a checksum", ProtoICMP, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, false},
		{"TCP that is cut", ProtoTCP, make([]byte, TCPCsumOff+1), false},
		{"protocol without one that is known", 132, make([]byte, 12), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Packet{Proto: tt.proto, L4: tt.l4}
			if got := p.Unsummed(); got != tt.want {
				t.Errorf("Unsummed = %v, want %v", got, tt.want)
			}
		})
	}
}

// surplus makes the packet of a frame longer than its UDP datagram (RFC 9868).
func surplus(frame []byte, area string) []byte {
	ip := frame[EthLen:]
	if ip[0]>>4 == 4 {
		SetIPPayloadLen(ip, len(ip)-IPv4Len+len(area))
	} else {
		SetIPPayloadLen(ip, len(ip)-IPv6Len+len(area))
	}
	return append(frame, area...)
}

func TestDropNames(t *testing.T) {
	seen := map[string]Drop{}
	for d := range NumDrops {
		name := d.String()
		if other, dup := seen[name]; dup || name == "" || name == "unknown" {
			t.Errorf("reason %d has the name %q, as reason %d", d, name, other)
		}
		seen[name] = d
	}
	if got := NumDrops.String(); got != "unknown" {
		t.Errorf("NumDrops.String() = %q, want unknown", got)
	}
}
