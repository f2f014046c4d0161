package packet

import (
	"bytes"
	"testing"
)

var linkLocalA = Addr{0: 0xfe, 1: 0x80, 15: 0xa}

const (
	nsHex = "87 00 0000 00000000 fe80000000000000000000000000000a 01 01 02000000000a"
	naHex = "88 00 0000 e0000000 fe80000000000000000000000000000a 02 01 02000000000a"
)

func TestPutNeighbor(t *testing.T) {
	for _, tt := range []struct {
		name       string
		typ, flags uint8
		want       string
	}{
		{"solicitation", ICMPv6NeighborSolicit, 0, nsHex},
		{"advertisement", ICMPv6NeighborAdvert, NDRouter | NDSolicited | NDOverride, naHex},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := make([]byte, NDNeighborLen+NDLinkOptLen)
			if n := PutNeighbor(b, tt.typ, tt.flags, linkLocalA, macA); n != len(b) || !bytes.Equal(b, unhex(t, tt.want)) {
				t.Errorf("PutNeighbor = %d, % x, want %d, %s", n, b, len(b), tt.want)
			}
		})
	}
}

func TestParseND(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		ttl  uint8
		want bool
	}{
		{"solicitation", nsHex, 255, true},
		{"advertisement", naHex, 255, true},
		{"without options", nsHex[:len(nsHex)-len("01 01 02000000000a")], 255, true},
		{"router solicitation", "85 00 0000 00000000", 255, true},
		{"router advertisement", "86 00 0000 ff80ffff 00000000 00000000", 255, true},
		{"option of unknown type", "85 00 0000 00000000 fe02 000000000000 0000000000000000", 255, true},
		{"empty", "", 255, false},
		{"header cut", "85 00 0000 000000", 255, false},
		{"target cut", "87 00 0000 00000000 fe80000000000000000000000000", 255, false},
		{"redirect cut", "89 00 0000 00000000 fe80000000000000000000000000000a 01 01 02000000000a", 255, false},
		{"other type", "80 00 0000 00000000", 255, false},
		{"routed", nsHex, 254, false},
		{"code", "85 01 0000 00000000", 255, false},
		{"empty option", "85 00 0000 00000000 0100 000000000000", 255, false},
		{"option cut", "85 00 0000 00000000 0102 000000000000", 255, false},
		{"end of options cut", "85 00 0000 00000000 0101 00000000", 255, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Packet{Proto: ProtoICMPv6, TTL: tt.ttl, L4: unhex(t, tt.in)}
			m, ok := ParseND(&p)
			if ok != tt.want || ok && m.Type() != p.L4[0] {
				t.Errorf("ParseND = % x, %v, want %v", m, ok, tt.want)
			}
		})
	}
	if _, ok := ParseND(&Packet{Proto: ProtoICMP, TTL: 255, L4: unhex(t, nsHex)}); ok {
		t.Error("ParseND accepts an ICMP message for IPv4")
	}
}

func TestSolicitedNode(t *testing.T) {
	a := Addr{0: 0x20, 1: 0x01, 12: 0x12, 13: 0x34, 14: 0x56, 15: 0x78}
	if got := SolicitedNode(a).Netip().String(); got != "ff02::1:ff34:5678" {
		t.Errorf("SolicitedNode = %s, want ff02::1:ff34:5678", got)
	}
}

// FuzzParseND: neighbor messages that are accepted can be built again.
func FuzzParseND(f *testing.F) {
	f.Add(unhex(f, nsHex))
	f.Add(unhex(f, naHex))
	f.Add(unhex(f, "85 00 0000 00000000 0101 000000000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := ParseND(&Packet{Proto: ProtoICMPv6, TTL: 255, L4: b})
		if !ok || m.Type() != ICMPv6NeighborSolicit {
			return
		}
		again := make([]byte, NDNeighborLen+NDLinkOptLen)
		PutNeighbor(again, m.Type(), 0, m.Target(), macA)
		if got, ok := ParseND(&Packet{Proto: ProtoICMPv6, TTL: 255, L4: again}); !ok || got.Target() != m.Target() {
			t.Errorf("built % x from % x", again, b)
		}
	})
}
