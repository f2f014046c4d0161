package engine

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/reasm"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

// pattern is n bytes that depend on which datagram they are in.
func pattern(which, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>3 + which)
	}
	return b
}

// TestFragmentsReachHost: datagrams of several sizes come in fragments, many in one
// batch, and all arrive as they were.
func TestFragmentsReachHost(t *testing.T) {
	for _, fam := range coretest.Families {
		for _, feat := range []tap.Features{{}, coretest.AllFeatures} {
			t.Run(fam.Name, func(t *testing.T) {
				c, service := udpService(t, fam)
				f := newFixture(t, testConfig(), feat)
				guest := netip.AddrPortFrom(fam.Guest, 4000)
				sizes := []int{8000, 60000, 2000, 8000, 1481, 1472}
				var frames [][]byte
				for i, n := range sizes {
					frame := coretest.UDP(guest, service, pattern(i, n))
					frames = append(frames, coretest.Fragments(frame, uint32(i), 1480)...)
				}
				f.receive(frames...)
				b := make([]byte, 1<<16)
				for i, size := range sizes {
					n, err := c.Read(b)
					if err != nil || !bytes.Equal(b[:n], pattern(i, size)) {
						t.Fatalf("datagram %d: got %d bytes, want %d; %v; drops %v", i, n, size, err, f.drops())
					}
				}
			})
		}
	}
}

// TestFragmentedSegmentsReachHost: TCP serves what fragments make as it does others.
func TestFragmentedSegmentsReachHost(t *testing.T) {
	for _, fam := range coretest.Families {
		h := newHost(t)
		g := greeted(t, fam, h)
		frame := g.segment(packet.ACK, pattern(0, 3000))
		g.receive(coretest.Fragments(frame, 1, 1480)...)
		for end := time.Now().Add(5 * time.Second); h.received < 3000 && time.Now().Before(end); {
			h.serve()
		}
		if h.received != 3000 {
			t.Errorf("%s: host received %d bytes, want 3000; drops %v", fam.Name, h.received, g.drops())
		}
	}
}

// TestFragmentedEchoIsAnswered: one to an address of our own, which needs no socket.
func TestFragmentedEchoIsAnswered(t *testing.T) {
	for _, fam := range coretest.Families {
		cfg := testConfig()
		cfg.V4.Own, cfg.V6.Own = []netip.Addr{cfg.V4.Gateway}, []netip.Addr{cfg.V6.Gateway}
		f := newFixture(t, cfg, coretest.AllFeatures)
		payload := pattern(0, 3000)
		f.receive(coretest.Fragments(coretest.Echo(fam.Guest, fam.Gateway, 7, 1, payload), 1, 1480)...)
		if m := f.dev.One(t).ICMP(t); !bytes.Equal(m.Payload(), payload) {
			t.Errorf("%s: answer with %d bytes, want %d", fam.Name, len(m.Payload()), len(payload))
		}
	}
}

// TestFragmentsTimeOut: an idle loop wakes up for it.
func TestFragmentsTimeOut(t *testing.T) {
	f := newFixture(t, testConfig(), coretest.AllFeatures)
	fam := coretest.Families[0]
	f.receive(coretest.Fragments(coretest.Echo(fam.Guest, fam.Gateway, 7, 1, pattern(0, 3000)), 1, 1480)[0])
	at := f.deadline()
	if want := f.loop.Now() + int64(time.Minute); at > want || at <= f.loop.Now() {
		t.Fatalf("next deadline in %v, want it within a minute", time.Duration(at-f.loop.Now()))
	}
	f.expire(at)
	if m := f.dev.One(t).ICMP(t); m.Type() != packet.ICMPTimeExceeded || m.Code() != packet.ICMPCodeReassembly {
		t.Errorf("type %d, code %d", m.Type(), m.Code())
	}
}

// TestNoAllocationPerFragmentedDatagram: from fragments to the host's socket.
func TestNoAllocationPerFragmentedDatagram(t *testing.T) {
	for _, fam := range coretest.Families {
		h := newHost(t)
		f := newFixture(t, testConfig(), coretest.AllFeatures)
		guest, peer := netip.AddrPortFrom(fam.Guest, 4000), netip.AddrPortFrom(fam.Gateway, h.port)
		frames := coretest.Fragments(coretest.UDP(guest, peer, pattern(0, 4000)), 1, 1480)
		served := 0
		exchange := func() {
			for _, frame := range frames {
				f.dev.Inject(frame)
			}
			_ = f.turn()
			for _, u := range h.udp {
				if _, errno := sys.Recv(u, h.buf[:], syscall.MSG_DONTWAIT); errno == 0 {
					served++
				}
			}
		}
		exchange()
		if n := testing.AllocsPerRun(50, exchange); n != 0 {
			t.Errorf("%s: %v allocations, want 0", fam.Name, n)
		}
		if served != 52 { // AllocsPerRun warms up
			t.Errorf("%s: %d datagrams, want 52", fam.Name, served)
		}
	}
}

// inFragments is an echo request in fragments, some of which come late, a packet that
// stays without its end, and an error that has our own packets cut from then on.
func inFragments(fam coretest.Family) (b []byte) {
	frames := coretest.Fragments(coretest.Echo(fam.Guest, fam.Gateway, 7, 1, make([]byte, 3000)), 1, 1480)
	frames = append(frames, coretest.Fragments(coretest.Echo(fam.Guest, fam.Gateway, 7, 2, make([]byte, 3000)), 2, 1480)[:2]...)
	for i, frame := range frames {
		b = append(b, step(byte(i<<4), frame)...)
	}
	return append(b, step(0, tooBigFor(fam, netip.AddrPortFrom(fam.Gateway, 80), 1300))...)
}

// TestSeedsReachReassembly: as TestSeedsReachTheHandlers, for fragments.
func TestSeedsReachReassembly(t *testing.T) {
	for _, fam := range coretest.Families {
		f := fuzzed(t, coretest.NewMemTap(t, coretest.AllFeatures))
		f.run(newHost(t), inFragments(fam))
		if got, want := f.reasm.Stats, (reasm.Stats{Fragments: 5, Packets: 1, Timeouts: 1}); got != want {
			t.Errorf("%s: got %+v, want %+v", fam.Name, got, want)
		}
	}
}

// firstFragment gives the start of the transport part, if p is a first fragment. No
// further headers may be in between, which would hide it from here.
func firstFragment(p *packet.Packet) (l4 []byte, proto uint8) {
	var f packet.Fragment
	if p.Fragment(&f) != packet.DropNone || f.Offset != 0 {
		return nil, 0
	}
	switch f.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMPv6:
		return f.Data, f.Proto
	}
	if !p.Src.Is4() {
		p.L4[0] = packet.ProtoICMPv6
	}
	return nil, 0
}
