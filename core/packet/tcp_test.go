package packet

import (
	"bytes"
	"testing"
)

func TestPutTCP(t *testing.T) {
	h := TCPHeader{SrcPort: 1, DstPort: 2, Seq: 0x01020304, Ack: 0x05060708, Flags: SYN | ACK, Window: 0x1000, WScale: -1}
	const fixed = "0001 0002 01020304 05060708"
	tests := []struct {
		name   string
		mss    uint16
		wscale int8
		want   string
	}{
		{"no options", 0, -1, "50 12 1000 0000 0000"},
		{"scale without MSS is left out", 0, 7, "50 12 1000 0000 0000"},
		{"MSS", 1460, -1, "60 12 1000 0000 0000 0204 05b4"},
		{"MSS and scale", 1460, 7, "70 12 1000 0000 0000 0204 05b4 01 0303 07"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := h
			h.MSS, h.WScale = tt.mss, tt.wscale
			b := bytes.Repeat([]byte{0xee}, TCPMaxLen)
			n := PutTCP(b, &h)
			if want := unhex(t, fixed+tt.want); !bytes.Equal(b[:n], want) || b[n] != 0xee {
				t.Errorf("PutTCP wrote\n% x, want\n% x", b[:n], want)
			}
		})
	}
}

func TestParseTCP(t *testing.T) {
	fixed := "0001 0002 01020304 05060708 "
	tests := []struct {
		name, input string
		ok          bool
	}{
		{"no options", fixed + "50 10 1000 0000 0000 6162", true},
		{"options", fixed + "60 10 1000 0000 0000 01010101 6162", true},
		{"short", fixed + "50 10 1000 0000 00", false},
		{"offset below 5", fixed + "40 10 1000 0000 0000 6162", false},
		{"offset 0", fixed + "00 10 1000 0000 0000 6162", false},
		{"options beyond packet", fixed + "60 10 1000 0000 0000 6162", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := ParseTCP(unhex(t, tt.input))
			if ok != tt.ok {
				t.Fatalf("ParseTCP: got %v, want %v", ok, tt.ok)
			}
			if !ok {
				return
			}
			if s.SrcPort() != 1 || s.DstPort() != 2 || s.Seq() != 0x01020304 || s.Ack() != 0x05060708 ||
				s.Flags() != ACK || s.Window() != 0x1000 || string(s.Payload()) != "ab" {
				t.Errorf("fields of % x are wrong", []byte(s))
			}
		})
	}
}

func TestTCPFlagsLeaveECNOut(t *testing.T) {
	b := make([]byte, TCPLen)
	b[12], b[13] = 0x50, 0xff
	if s, ok := ParseTCP(b); !ok || s.Flags() != FIN|SYN|RST|PSH|ACK|URG {
		t.Errorf("flags %#x, want %#x", s.Flags(), FIN|SYN|RST|PSH|ACK|URG)
	}
}

// synOf is a SYN with options given in hexadecimal, padded with "end of list".
func synOf(t testing.TB, options string) TCP {
	t.Helper()
	o := unhex(t, options)
	n := (len(o) + 3) / 4 * 4
	b := make([]byte, TCPLen+n)
	PutTCP(b, &TCPHeader{Flags: SYN, WScale: -1})
	copy(b[TCPLen:], o)
	b[12] = byte((TCPLen+n)/4) << 4
	s, ok := ParseTCP(b)
	if !ok {
		t.Fatalf("SYN with options %q does not parse", options)
	}
	return s
}

// synOptionCases are option lists; they are seeds of FuzzParse too.
var synOptionCases = []struct {
	name, options string
	want          SynOptions
}{
	{"none", "", SynOptions{MSS: 536}},
	{"MSS", "0204 05b4", SynOptions{MSS: 1460}},
	{"Linux", "0204 05b4 0402 080a 00000001 00000000 01 030307", SynOptions{MSS: 1460, WScale: 7, HasWScale: true}},
	{"scale 0", "0204 05b4 01 030300", SynOptions{MSS: 1460, HasWScale: true}},
	{"scale beyond 14", "01 0303ff", SynOptions{MSS: 536, WScale: 14, HasWScale: true}},
	{"unknown options", "fd04 1234 0204 05b4 ff02", SynOptions{MSS: 1460}},
	{"behind the end", "00 0204 05b4", SynOptions{MSS: 536}},
	{"MSS of length 3", "0203 05 0204 05b4", SynOptions{MSS: 1460}},
	{"length 0", "0200 05b4 0204 05b4", SynOptions{MSS: 536}},
	{"length 1", "0301 0204 05b4", SynOptions{MSS: 536}},
	{"beyond the header", "01 01 0204", SynOptions{MSS: 536}},
	{"kind alone", "010101 02", SynOptions{MSS: 536}},
	{"twice: last", "0204 0200 0204 0300", SynOptions{MSS: 768}},
}

func TestSynOptions(t *testing.T) {
	for _, tt := range synOptionCases {
		t.Run(tt.name, func(t *testing.T) {
			if got := synOf(t, tt.options).SynOptions(); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
