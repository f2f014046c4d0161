package packet

import (
	"bytes"
	"testing"

	"github.com/pasta-net/pasta/core/checksum"
)

func TestPutIP(t *testing.T) {
	h4 := IPHeader{Src: host4, Dst: peer4, Proto: ProtoUDP, TTL: DefaultTTL, Flow: 5, PayloadLen: 9}
	h6 := IPHeader{Src: host6, Dst: peer6, Proto: ProtoTCP, TTL: 64, Flow: 0xf12345, PayloadLen: 0x1234}
	tests := []struct {
		name string
		h    IPHeader
		want string
	}{
		{"IPv4", h4, "45 00 001d 0000 4000 ff 11 67cd 0a000002 0a000001"},
		{"IPv6", h6, "60012345 1234 06 40 fd000000000000000000000000000002 fd000000000000000000000000000001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Repeat([]byte{0xee}, 64)
			n := PutIP(b, &tt.h)
			if want := unhex(t, tt.want); n != len(want) || n != tt.h.IPLen() || !bytes.Equal(b[:n], want) {
				t.Errorf("PutIP wrote\n% x, want\n% x", b[:n], want)
			}
			if b[n] != 0xee {
				t.Error("PutIP wrote behind the header")
			}
		})
	}
}

// TestSetIPPayloadLen: a changed header is the one made for that length.
func TestSetIPPayloadLen(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		for _, n := range []int{0, 1, 1460, 65515} {
			h := headerOf(v4, ProtoTCP)
			h.PayloadLen = 77
			got, want := make([]byte, IPv6Len), make([]byte, IPv6Len)
			PutIP(got, &h)
			SetIPPayloadLen(got, n)
			h.PayloadLen = n
			PutIP(want, &h)
			if !bytes.Equal(got, want) {
				t.Errorf("IPv4 %v, %d bytes: got % x, want % x", v4, n, got, want)
			}
		}
	}
}

func TestCompleteIPv4(t *testing.T) {
	h := headerOf(true, ProtoTCP)
	whole := make([]byte, IPv4Len)
	PutIP(whole, &h)
	for _, tt := range []struct {
		name   string
		change func(b []byte)
		want   bool
	}{
		{"zero", func(b []byte) { b[10], b[11] = 0, 0 }, true},
		{"there", func([]byte) {}, false},
		{"wrong", func(b []byte) { b[10], b[11] = 0, 1 }, false},
		{"longer than the packet", func(b []byte) { b[0], b[10], b[11] = 0x4f, 0, 0 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(whole)
			tt.change(b)
			if got := CompleteIPv4(b); got != tt.want || got && !bytes.Equal(b, whole) {
				t.Errorf("CompleteIPv4 = %v, header % x, want %v", got, b, tt.want)
			}
		})
	}
}

func TestSumPartsChains(t *testing.T) {
	header, payload := []byte{1, 2, 3, 4}, []byte{5, 6, 7}
	if got, want := SumParts(header, payload, 9), checksum.Sum(append(header, payload...), 9); got != want {
		t.Errorf("SumParts = %#x, want %#x", got, want)
	}
}

func TestPutEthernet(t *testing.T) {
	b := make([]byte, EthLen)
	PutEthernet(b, MAC{1, 2, 3, 4, 5, 6}, MAC{7, 8, 9, 10, 11, 12}, EtherTypeIP6)
	if want := unhex(t, "010203040506 0708090a0b0c 86dd"); !bytes.Equal(b, want) {
		t.Errorf("PutEthernet wrote % x, want % x", b, want)
	}
}
