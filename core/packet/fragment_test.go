package packet

import (
	"bytes"
	"testing"

	"github.com/pasta-net/pasta/core/checksum"
)

// fragment4 is an IPv4 fragment; word has flags and offset. There are so many bytes of
// options.
func fragment4(word uint16, options int, data []byte) []byte {
	frame := frameOf(headerOf(true, ProtoUDP), append(make([]byte, options), data...))
	ip := frame[EthLen:]
	ip[0] += byte(options / 4)
	copy(ip[4:], []byte{0x12, 0x34, byte(word >> 8), byte(word)})
	return fixIPv4(frame)
}

// fragment6 is an IPv6 fragment; word has offset and flag. There are so many bytes of
// hop-by-hop options in front.
func fragment6(next uint8, word uint16, options int, data []byte) []byte {
	first, ext := uint8(protoFragment), []byte(nil)
	if options > 0 {
		first, ext = protoHopByHop, make([]byte, options)
		ext[0], ext[1] = protoFragment, byte(options/8-1)
	}
	ext = append(ext, next, 0, byte(word>>8), byte(word), 0x12, 0x34, 0x56, 0x78)
	return frameOf(headerOf(false, first), append(ext, data...))
}

// fragmentCase is a fragment, and what Fragment makes of it. The cases are seeds of
// FuzzParse too.
type fragmentCase struct {
	name  string
	frame []byte
	want  Fragment
	drop  Drop
}

func fragmentCases() []fragmentCase {
	data := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	v4 := func(offset, n int, more bool) Fragment {
		return Fragment{ID: 0x1234, Proto: ProtoUDP, Offset: offset, Data: data(n), More: more}
	}
	v6 := func(offset, n int, more bool) Fragment {
		return Fragment{ID: 0x12345678, Proto: ProtoUDP, Offset: offset, Data: data(n), More: more}
	}
	tcp := v6(0, 24, true)
	tcp.Proto = ProtoTCP
	none := Fragment{}
	return []fragmentCase{
		{"IPv4, first", fragment4(0x2000, 0, data(16)), v4(0, 16, true), DropNone},
		{"IPv4, middle", fragment4(0x2002, 0, data(8)), v4(16, 8, true), DropNone},
		{"IPv4, last", fragment4(0x0003, 0, data(3)), v4(24, 3, false), DropNone},
		{"IPv4, may not be fragmented", fragment4(0x6000, 0, data(8)), v4(0, 8, true), DropNone},
		{"IPv4, options", fragment4(0x2001, 8, data(8)), v4(8, 8, true), DropNone},
		{"IPv4, no data", fragment4(0x2001, 0, nil), none, DropFragment},
		{"IPv4, odd length", fragment4(0x2000, 0, data(9)), none, DropFragment},
		{"IPv4, too long", fragment4(0x1ffd, 0, data(4)), none, DropFragment},
		{"IPv4, longest", fragment4(0x1ffd, 0, data(3)), v4(65512, 3, false), DropNone},
		{"IPv4, longest with options", fragment4(0x1ffd, 8, data(3)), none, DropFragment},
		{"IPv6, first", fragment6(ProtoUDP, 1, 0, data(16)), v6(0, 16, true), DropNone},
		{"IPv6, middle", fragment6(ProtoUDP, 17, 0, data(8)), v6(16, 8, true), DropNone},
		{"IPv6, last", fragment6(ProtoUDP, 24, 0, data(3)), v6(24, 3, false), DropNone},
		{"IPv6, reserved bits", fragment6(ProtoUDP, 24+6, 0, data(3)), v6(24, 3, false), DropNone},
		{"IPv6, only", fragment6(ProtoUDP, 0, 0, data(3)), v6(0, 3, false), DropNone},
		{"IPv6, only, no data", fragment6(ProtoUDP, 0, 0, nil), v6(0, 0, false), DropNone},
		{"IPv6, part of the header", frameOf(headerOf(false, protoFragment), make([]byte, 7)), none, DropShort},
		{"IPv6, no data", fragment6(ProtoUDP, 8, 0, nil), none, DropFragment},
		{"IPv6, odd length", fragment6(ProtoUDP, 1, 0, data(15)), none, DropFragment},
		{"IPv6, longest", fragment6(ProtoUDP, 65528, 0, data(7)), v6(65528, 7, false), DropNone},
		{"IPv6, too long", fragment6(ProtoUDP, 65528, 0, data(8)), none, DropFragment},
		{"IPv6, too long with what is in front", fragment6(ProtoUDP, 65528, 8, data(7)), none, DropFragment},
		{"IPv6, all of a TCP header", fragment6(ProtoTCP, 1, 0, data(24)), tcp, DropNone},
		{"IPv6, part of a TCP header", fragment6(ProtoTCP, 1, 0, data(16)), none, DropFragment},
		{"IPv6, part of options", fragment6(protoDestOpts, 1, 0, append([]byte{ProtoUDP, 1}, data(6)...)), none, DropFragment},
		{"IPv6, options alone", fragment6(protoDestOpts, 1, 0, append([]byte{ProtoUDP, 0}, data(6)...)), none, DropFragment},
		{"IPv6, options alone before ICMPv6", fragment6(protoDestOpts, 1, 0, append([]byte{ProtoICMPv6, 0}, data(6)...)), none, DropFragment},
	}
}

func TestFragment(t *testing.T) {
	for _, tt := range fragmentCases() {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if d := p.Parse(tt.frame); d != DropFragment {
				t.Fatalf("Parse: got %v, want %v", d, DropFragment)
			}
			var f Fragment
			if d := p.Fragment(&f); d != tt.drop {
				t.Fatalf("Fragment: got %v, want %v", d, tt.drop)
			}
			if tt.drop != DropNone {
				return
			}
			if f.ID != tt.want.ID || f.Proto != tt.want.Proto || f.Offset != tt.want.Offset || f.More != tt.want.More ||
				!bytes.Equal(f.Data, tt.want.Data) {
				t.Errorf("got %+v, want %+v", f, tt.want)
			}
			if want := f.Offset + len(f.Data); f.End() != want || f.Whole() != (f.Offset == 0 && !f.More) {
				t.Errorf("end %d, want %d; whole %v", f.End(), want, f.Whole())
			}
		})
	}
}

// TestPutFragment: a packet cut with it is, to Fragment, what it was cut into.
func TestPutFragment(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		h := headerOf(v4, ProtoUDP)
		b := make([]byte, EthLen+IPv6Len+fragHdrLen+FragmentUnit)
		PutEthernet(b, macA, macB, etherTypeOf(h.Src))
		ip := b[EthLen:]
		PutIP(ip, &h)
		for _, want := range []Fragment{
			{ID: 0xfffe, Proto: ProtoUDP, More: true, Data: make([]byte, 8)},
			{ID: 0xfffe, Proto: ProtoUDP, Offset: 8, More: true, Data: make([]byte, 8)},
			{ID: 0xfffe, Proto: ProtoUDP, Offset: 65504, Data: make([]byte, 3)},
		} {
			n := PutFragment(ip, &want, len(want.Data))
			var p Packet
			if d := p.Parse(b[:EthLen+n+len(want.Data)]); d != DropFragment {
				t.Fatalf("IPv4 %v: Parse gives %v", v4, d)
			}
			var got Fragment
			if d := p.Fragment(&got); d != DropNone || got.ID != want.ID || got.Proto != want.Proto || got.Offset != want.Offset ||
				got.More != want.More || len(got.Data) != len(want.Data) || p.Src != h.Src || p.Dst != h.Dst || p.TTL != h.TTL {
				t.Errorf("IPv4 %v: got %+v of %+v, %v; want %+v", v4, got, p, d, want)
			}
		}
	}
}

func TestFragmentRoom(t *testing.T) {
	for _, tt := range []struct{ mtu, ipLen, want int }{
		{1500, IPv4Len, 1480},
		{1499, IPv4Len, 1472},
		{1500, IPv6Len, 1448},
		{1280, IPv6Len, 1232},
		{68, IPv4Len, 48},
		{30, IPv6Len, 8},
	} {
		if got := FragmentRoom(tt.mtu, tt.ipLen); got != tt.want {
			t.Errorf("FragmentRoom(%d, %d) = %d, want %d", tt.mtu, tt.ipLen, got, tt.want)
		}
	}
}

func TestAllowFragments(t *testing.T) {
	h := headerOf(true, ProtoUDP)
	b := make([]byte, IPv4Len)
	PutIP(b, &h)
	NextID(b)
	if b[4] != 0 || b[5] != 0 || b[6] != 0x40 {
		t.Errorf("packet that may not be cut: identification and flags % x", b[4:8])
	}
	AllowFragments(b, 0xffff)
	if checksum.Sum(b, 0) != 0xffff || !bytes.Equal(b[4:8], []byte{0xff, 0xff, 0, 0}) {
		t.Errorf("header % x", b)
	}
	NextID(b)
	SetIPPayloadLen(b, 0)
	if checksum.Sum(b, 0) != 0xffff || !bytes.Equal(b[4:8], []byte{0, 0, 0, 0}) {
		t.Errorf("header % x", b)
	}
	h = headerOf(false, ProtoUDP)
	six := make([]byte, IPv6Len)
	PutIP(six, &h)
	want := bytes.Clone(six)
	if NextID(six); !bytes.Equal(six, want) {
		t.Errorf("IPv6 header % x, want % x", six, want)
	}
}

func TestDestination(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		h := headerOf(v4, ProtoUDP)
		b := make([]byte, IPv6Len)
		PutIP(b, &h)
		if got := Destination(b); got != h.Dst {
			t.Errorf("got %v, want %v", got.Netip(), h.Dst.Netip())
		}
	}
}
