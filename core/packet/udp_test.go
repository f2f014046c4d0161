package packet

import (
	"bytes"
	"testing"
)

func TestPutUDP(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, UDPLen+1)
	n := PutUDP(b, 0x1234, 0x5678, 3)
	if want := unhex(t, "1234 5678 000b 0000"); n != UDPLen || !bytes.Equal(b[:n], want) || b[n] != 0xee {
		t.Errorf("PutUDP wrote % x, want % x", b, want)
	}
}

func TestParseUDP(t *testing.T) {
	tests := []struct {
		name, input string
		ok          bool
		payload     string
	}{
		{"empty", "0001 0002 0008 0000", true, ""},
		{"payload", "0001 0002 000a 0000 6162", true, "ab"},
		{"bytes behind the datagram", "0001 0002 0009 0000 6162", true, "a"},
		{"short", "0001 0002 0008 00", false, ""},
		{"length below header", "0001 0002 0007 0000", false, ""},
		{"length zero", "0001 0002 0000 0000", false, ""},
		{"length beyond packet", "0001 0002 000b 0000 6162", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, ok := ParseUDP(unhex(t, tt.input))
			if ok != tt.ok {
				t.Fatalf("ParseUDP: got %v, want %v", ok, tt.ok)
			}
			if !ok {
				return
			}
			if u.SrcPort() != 1 || u.DstPort() != 2 || string(u.Payload()) != tt.payload {
				t.Errorf("got %d to %d, payload %q, want 1 to 2, %q", u.SrcPort(), u.DstPort(), u.Payload(), tt.payload)
			}
		})
	}
}

func TestPutDatagram(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		h := headerOf(v4, ProtoTCP)
		h.TTL = 1 // is filled in, like the protocol
		b := make([]byte, 100)
		copy(b[h.IPLen()+UDPLen:], "payload")
		n := PutDatagram(b, &h, 53, 4000, 7)
		var p Packet
		if d := p.Parse(append(frameOf(h, nil)[:EthLen], b[:n]...)); d != DropNone || !p.VerifyL4() || p.Unsummed() {
			t.Fatalf("IPv4 %v: %v, % x", v4, d, b[:n])
		}
		u, ok := ParseUDP(p.L4)
		if !ok || u.SrcPort() != 53 || u.DstPort() != 4000 || string(u.Payload()) != "payload" || p.TTL != DefaultTTL {
			t.Errorf("IPv4 %v: %d to %d, %q, TTL %d", v4, u.SrcPort(), u.DstPort(), u.Payload(), p.TTL)
		}
	}
}
