package packet

import (
	"bytes"
	"encoding/hex"
	"testing"
)

var (
	macA = MAC{2, 0, 0, 0, 0, 0xa}
	macB = MAC{2, 0, 0, 0, 0, 0xb}
)

// unhex decodes hexadecimal test data; blanks do not matter.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.Join(bytes.Fields([]byte(s)), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const arpHex = "0001 0800 06 04 0001 02000000000a 0a000001 02000000000b 0a000002"

func arpHeader() ARPHeader {
	return ARPHeader{
		Op: ARPRequest, SenderMAC: macA, SenderIP: AddrFrom4([4]byte{10, 0, 0, 1}),
		TargetMAC: macB, TargetIP: AddrFrom4([4]byte{10, 0, 0, 2}),
	}
}

func TestPutARP(t *testing.T) {
	h := arpHeader()
	b := bytes.Repeat([]byte{0xff}, ARPLen)
	if n := PutARP(b, &h); n != ARPLen || !bytes.Equal(b, unhex(t, arpHex)) {
		t.Errorf("PutARP = %d, % x, want %d, %s", n, b, ARPLen, arpHex)
	}
}

func TestParseARP(t *testing.T) {
	padded := append(unhex(t, arpHex), make([]byte, 18)...)
	a, ok := ParseARP(padded)
	if !ok || len(a) != ARPLen {
		t.Fatalf("ParseARP = %d bytes, %v, want %d, true", len(a), ok, ARPLen)
	}
	got := ARPHeader{a.Op(), a.SenderMAC(), a.SenderIP(), a.TargetMAC(), a.TargetIP()}
	if got != arpHeader() {
		t.Errorf("fields = %+v, want %+v", got, arpHeader())
	}
}

func TestParseARPRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"empty", ""},
		{"cut", arpHex[:len(arpHex)-2]},
		{"other hardware", "0006 0800 06 04 0001 02000000000a 0a000001 02000000000b 0a000002"},
		{"other protocol", "0001 86dd 06 04 0001 02000000000a 0a000001 02000000000b 0a000002"},
		{"hardware length", "0001 0800 08 04 0001 02000000000a 0a000001 02000000000b 0a000002"},
		{"protocol length", "0001 0800 06 10 0001 02000000000a 0a000001 02000000000b 0a000002"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a, ok := ParseARP(unhex(t, tt.in)); ok {
				t.Errorf("ParseARP = % x, true, want false", a)
			}
		})
	}
}

// FuzzParseARP: what is accepted can be built again from its fields.
func FuzzParseARP(f *testing.F) {
	f.Add(unhex(f, arpHex))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := ParseARP(b)
		if !ok {
			return
		}
		again := make([]byte, ARPLen)
		PutARP(again, &ARPHeader{a.Op(), a.SenderMAC(), a.SenderIP(), a.TargetMAC(), a.TargetIP()})
		if !bytes.Equal(again, b[:ARPLen]) {
			t.Errorf("built % x from % x", again, b)
		}
	})
}
