package checksum

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// reference is the textbook loop of RFC 1071 section 4.1.
func reference(b []byte, initial uint16) uint16 {
	sum := uint32(initial)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func TestSumMatchesReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for size := range 300 {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		initial := uint16(r.Uint32())
		if got, want := Sum(b, initial), reference(b, initial); got%0xffff != want%0xffff {
			t.Errorf("Sum of %d bytes: got %#04x, want %#04x", size, got, want)
		}
	}
}

func TestSumOfExtremes(t *testing.T) {
	ones := make([]byte, 65535)
	for i := range ones {
		ones[i] = 0xff
	}
	tests := []struct {
		name string
		in   []byte
		init uint16
		want uint16
	}{
		{"empty", nil, 0, 0},
		{"empty keeps initial", nil, 0x1234, 0x1234},
		{"odd byte is high", []byte{0x12}, 0, 0x1200},
		{"RFC 1071 section 3", []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0, 0xddf2},
		{"all ones", ones[:65534], 0xffff, 0xffff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sum(tt.in, tt.init); got != tt.want {
				t.Errorf("got %#04x, want %#04x", got, tt.want)
			}
		})
	}
}

func TestPseudoCountsLongLengths(t *testing.T) {
	src, dst := make([]byte, 16), make([]byte, 16)
	// 0x1fffe bytes: the upper half of the 32-bit length field counts too.
	if got, want := Pseudo(src, dst, 6, 0x1fffe), uint16((0x0001+0xfffe+6)%0xffff); got != want {
		t.Errorf("got %#04x, want %#04x", got, want)
	}
}

func BenchmarkSum64K(b *testing.B) {
	buf := make([]byte, 65536)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		Sum(buf, 0)
	}
}
