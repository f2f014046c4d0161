package packet

import (
	"bytes"
	"testing"
)

func TestSetICMPChecksum(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    IPHeader
		typ  uint8
	}{
		{"ICMP", IPHeader{Src: AddrFrom4([4]byte{10, 0, 0, 1}), Dst: AddrFrom4([4]byte{10, 0, 0, 2}), Proto: ProtoICMP}, ICMPEchoRequest},
		{"ICMPv6", IPHeader{Src: Addr{0: 0xfe, 1: 0x80, 15: 10}, Dst: AllNodes, Proto: ProtoICMPv6}, ICMPv6EchoRequest},
	} {
		for _, payload := range []string{"", "1", "12", "12345678901234567890123456789012345"} {
			t.Run(tt.name+" "+payload, func(t *testing.T) {
				h := tt.h
				h.PayloadLen = ICMPLen + len(payload)
				frame := make([]byte, EthLen+h.IPLen()+h.PayloadLen)
				PutEthernet(frame, macA, macB, etherTypeOf(h.Src))
				pkt := frame[EthLen:]
				n := PutIP(pkt, &h)
				PutICMP(pkt[n:], tt.typ, 0, 0x00010002)
				copy(pkt[n+ICMPLen:], payload)
				SetICMPChecksum(pkt, n)
				var p Packet
				if d := p.Parse(frame); d != DropNone || !p.VerifyL4() {
					t.Errorf("% x: %v or wrong checksum", pkt, d)
				}
				whole := ICMPChecksum(pkt, zeroChecksum(p.L4), nil)
				if parts := ICMPChecksum(pkt, zeroChecksum(p.L4)[:ICMPLen], []byte(payload)); parts != whole {
					t.Errorf("checksum of parts %#x, of the whole %#x", parts, whole)
				}
			})
		}
	}
}

func etherTypeOf(a Addr) uint16 {
	if a.Is4() {
		return EtherTypeIP4
	}
	return EtherTypeIP6
}

func zeroChecksum(msg []byte) []byte {
	b := bytes.Clone(msg)
	b[ICMPCsumOff], b[ICMPCsumOff+1] = 0, 0
	return b
}

func TestParseICMP(t *testing.T) {
	m, ok := ParseICMP(unhex(t, "8001 1234 0102 0304 aabb"))
	if !ok {
		t.Fatal("ParseICMP refuses an echo request")
	}
	if m.Type() != ICMPv6EchoRequest || m.Code() != 1 || m.ID() != 0x102 || m.Seq() != 0x304 ||
		!bytes.Equal(m.Payload(), []byte{0xaa, 0xbb}) {
		t.Errorf("type %d, code %d, id %#x, seq %#x, payload % x", m.Type(), m.Code(), m.ID(), m.Seq(), m.Payload())
	}
	if _, ok := ParseICMP(make([]byte, ICMPLen-1)); ok {
		t.Error("ParseICMP accepts 7 bytes")
	}
}

// FuzzParseICMP: what is accepted can be built again from its fields.
func FuzzParseICMP(f *testing.F) {
	f.Add(unhex(f, "0800 f3f9 0001 0002 3132"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := ParseICMP(b)
		if !ok {
			return
		}
		again := make([]byte, ICMPLen)
		PutICMP(again, m.Type(), m.Code(), uint32(m.ID())<<16|uint32(m.Seq()))
		again = append(again, m.Payload()...)
		if !bytes.Equal(zeroChecksum(again), zeroChecksum(b)) {
			t.Errorf("built % x from % x", again, b)
		}
	})
}
