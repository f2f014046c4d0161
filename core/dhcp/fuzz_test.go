package dhcp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// seed is a message that reaches the parser; one with answer is answered.
type seed struct {
	msg    []byte
	answer bool
}

func seeds4(t testing.TB) []seed {
	return []seed{
		{nil, false},
		{message4(t, discover+"3705 0103061a77 3902 05dc 5000"), true},
		{message4(t, request+"3204 0a420002"), true},
		{message4(t, "")[:236], true},
		{message4(t, discover+"0c20"), false},
	}
}

func seeds6(t testing.TB) []seed {
	return []seed{
		{nil, false},
		{coretest.Unhex(t, "01"+xid+clientID+iaNA), true},
		{coretest.Unhex(t, "03"+xid+clientID+ourID+iaForeign+taForeign), true},
		{coretest.Unhex(t, "0b"+xid+clientID), true},
		{coretest.Unhex(t, "0b"+xid+"00010003000401"), true}, // no DUID-UUID is that short
		{coretest.Unhex(t, "01"+xid+clientID+"0003000b1122334400000000000000"), false},
	}
}

func TestSeedsReachTheParsers(t *testing.T) {
	for i, s := range seeds4(t) {
		f := newFixture(t, fullConfig())
		if f.ask4(t, s.msg); (f.dev.Sent() == 1) != s.answer {
			t.Errorf("DHCP seed %d: %d frames sent", i, f.dev.Sent())
		}
	}
	for i, s := range seeds6(t) {
		f := newFixture6(t, fullConfig())
		if f.ask6(t, s.msg); (f.dev.Sent() == 1) != s.answer {
			t.Errorf("DHCPv6 seed %d: %d frames sent", i, f.dev.Sent())
		}
	}
}

// FuzzDHCPv4: whatever message comes, at most one answer, which an independent
// decoder can read.
func FuzzDHCPv4(f *testing.F) {
	for _, s := range seeds4(f) {
		f.Add(s.msg)
	}
	fix := newFixture(f, fullConfig())
	f.Fuzz(func(t *testing.T, msg []byte) {
		fix.fromTap4(msg)
		for _, frame := range fix.dev.Take(t) {
			payload := frame.UDP(t).Payload()
			m, err := dhcpv4.FromBytes(payload)
			if err != nil {
				t.Fatalf("% x: %v", payload, err)
			}
			if !bytes.Equal(m.TransactionID[:], msg[4:8]) || m.ServerIdentifier() == nil || len(frame.L3) > maxReply {
				t.Errorf("answer of %d bytes: %v", len(frame.L3), m)
			}
		}
	})
}

// FuzzDHCPv6: whatever message comes, at most one answer, which an independent
// decoder can read.
func FuzzDHCPv6(f *testing.F) {
	for _, s := range seeds6(f) {
		f.Add(s.msg)
	}
	fix := newFixture6(f, fullConfig())
	p := packet.Packet{
		Src: packet.AddrFrom(netip.MustParseAddr("fe80::2")), Dst: packet.AddrFrom(netip.MustParseAddr("ff02::1:2")),
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		fix.fromTap6(&p, msg)
		for _, frame := range fix.dev.Take(t) {
			payload := frame.UDP(t).Payload()
			var r request6
			r.parse(msg, fix.guest6)
			if _, err := dhcpv6.DUIDFromBytes(r.clientID); err != nil {
				continue // echoed, but too strange for the decoder
			}
			m, err := dhcpv6.MessageFromBytes(payload)
			if err != nil {
				t.Fatalf("% x: %v", payload, err)
			}
			if !bytes.Equal(m.TransactionID[:], msg[1:4]) || m.Options.ServerID() == nil || len(frame.L3) > maxDatagram6 {
				t.Errorf("answer of %d bytes: %v", len(frame.L3), m)
			}
		}
	})
}

// TestHostileMessageIsCheap: a datagram of 64 KiB, with the domain name pointers
// that overwhelm parsers which expand names, costs what any other message does.
func TestHostileMessageIsCheap(t *testing.T) {
	label := append([]byte{63}, bytes.Repeat([]byte("a"), 63)...)
	names := append(bytes.Repeat(label, 400), 0)
	names = append(names, bytes.Repeat([]byte{0xc0, 0}, 18000)...)
	search := append(appendOption6(nil, opt6Search, len(names)), names...)
	msg6 := append(coretest.Unhex(t, "0b"+xid+clientID), search...)
	msg4 := append(message4(t, discover), bytes.Repeat([]byte{optSearch, 2, 0xc0, 0}, 15000)...)
	f := newFixture6(t, fullConfig())
	p := packet.Packet{Src: f.linkLocal, Dst: packet.AllNodes}
	for name, ask := range map[string]func(){
		"DHCPv6": func() { f.fromTap6(&p, msg6) },
		"DHCP":   func() { f.fromTap4(msg4) },
	} {
		n := testing.AllocsPerRun(20, func() {
			f.dev.Discard()
			ask()
		})
		if n > 20 || f.dev.Sent() != 1 {
			t.Errorf("%s: %v allocations, %d frames sent", name, n, f.dev.Sent())
		}
		f.dev.Discard()
	}
}
