package packet

import (
	"bytes"
	"testing"
)

// FuzzParse: any frame is parsed without panic, slices stay within the frame, and
// what parses comes back the same when its headers are written anew.
func FuzzParse(f *testing.F) {
	for _, c := range parseCases() {
		f.Add(c.frame)
	}
	for _, c := range synOptionCases {
		f.Add(frameOf(headerOf(true, ProtoTCP), synOf(f, c.options)))
	}
	for _, c := range fragmentCases() {
		f.Add(c.frame)
	}
	f.Add(udpFrame(false, "a datagram"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var p Packet
		switch d := p.Parse(frame); {
		case d == DropFragment:
			checkFragment(t, frame, &p)
			return
		case d != DropNone || p.EtherType == EtherTypeARP:
			return
		}
		if len(p.L3) > len(frame)-EthLen || len(p.L4) > len(p.L3) {
			t.Fatalf("%d bytes of packet, %d of transport part in a frame of %d", len(p.L3), len(p.L4), len(frame))
		}
		p.VerifyL4()
		checkRebuilt(t, &p)
		switch p.Proto {
		case ProtoUDP:
			checkUDP(t, p.L4)
		case ProtoTCP:
			checkTCP(t, p.L4)
		}
	})
}

// checkFragment reads a fragment, which has to be within the frame and within the
// longest packet.
func checkFragment(t *testing.T, frame []byte, p *Packet) {
	t.Helper()
	var f Fragment
	if p.Fragment(&f) != DropNone {
		return
	}
	if len(f.Data) > len(frame)-EthLen || f.End() > maxIPLen || f.Offset%FragmentUnit != 0 ||
		len(f.Data) == 0 && !f.Whole() || f.More && len(f.Data)%FragmentUnit != 0 {
		t.Errorf("%d bytes at %d, more %v, in a frame of %d", len(f.Data), f.Offset, f.More, len(frame))
	}
}

// checkRebuilt writes a frame with the fields of p and parses that.
func checkRebuilt(t *testing.T, p *Packet) {
	t.Helper()
	h := IPHeader{Src: p.Src, Dst: p.Dst, Proto: p.Proto, TTL: p.TTL}
	frame := frameOf(h, p.L4)
	PutEthernet(frame, p.EthDst, p.EthSrc, p.EtherType)
	var again Packet
	if d := again.Parse(frame); d != DropNone {
		t.Fatalf("rebuilt frame is dropped: %v\n% x", d, frame)
	}
	if !samePacket(p, &again) || !bytes.Equal(p.L4, again.L4) {
		t.Errorf("rebuilt: got %+v, want %+v", again, *p)
	}
}

func checkUDP(t *testing.T, l4 []byte) {
	t.Helper()
	u, ok := ParseUDP(l4)
	if !ok {
		return
	}
	b := make([]byte, UDPLen, len(u))
	PutUDP(b, u.SrcPort(), u.DstPort(), len(u.Payload()))
	again, ok := ParseUDP(append(b, u.Payload()...))
	copy(b[UDPCsumOff:], u[UDPCsumOff:UDPLen])
	if !ok || !bytes.Equal(again, u) {
		t.Errorf("rebuilt: got % x, want % x", again, u)
	}
}

func checkTCP(t *testing.T, l4 []byte) {
	t.Helper()
	s, ok := ParseTCP(l4)
	if !ok {
		return
	}
	o := s.SynOptions()
	h := TCPHeader{
		SrcPort: s.SrcPort(), DstPort: s.DstPort(), Seq: s.Seq(), Ack: s.Ack(), Flags: s.Flags(), Window: s.Window(),
		MSS: o.MSS, WScale: -1,
	}
	if o.HasWScale && o.MSS != 0 {
		h.WScale = int8(o.WScale)
	}
	b := make([]byte, TCPMaxLen)
	again, ok := ParseTCP(append(b[:PutTCP(b, &h)], s.Payload()...))
	if !ok || again.Seq() != s.Seq() || again.Ack() != s.Ack() || again.Flags() != s.Flags() ||
		again.SrcPort() != s.SrcPort() || again.DstPort() != s.DstPort() || again.Window() != s.Window() ||
		!bytes.Equal(again.Payload(), s.Payload()) {
		t.Errorf("rebuilt: got % x, want % x", again, s)
	}
	if o.MSS != 0 && again.SynOptions() != o {
		t.Errorf("options: got %+v, want %+v", again.SynOptions(), o)
	}
}
