package udp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

func TestDatagramsKeepTheirBounds(t *testing.T) {
	for _, fam := range coretest.Families {
		for _, size := range []int{0, 1, 17, 1400, 9000, 65507} {
			t.Run(fmt.Sprintf("%s/%d", fam.Name, size), func(t *testing.T) {
				e := newEnv(t, coretest.AllFeatures)
				peer := hostSocket(t, fam.Loopback.String())
				src := netip.AddrPortFrom(fam.Guest, 40000)
				dst := netip.AddrPortFrom(fam.Gateway, addrOf(peer).Port())
				payload := bytes.Repeat([]byte{0xa5}, size)

				out := payload[:min(size, maxRun)] // the MTU is 65521 at most
				e.guestSends(coretest.UDP(src, dst, out))
				got, from := receive(t, peer)
				if !bytes.Equal(got, out) {
					t.Errorf("host got %d bytes, want %d", len(got), len(out))
				}
				send(t, peer, from, payload)
				frames := e.guestGets(1)
				if len(frames) != 1 {
					t.Fatalf("%d frames, want 1", len(frames))
				}
				f, u := frames[0], frames[0].UDP(t)
				if f.Src.Netip() != fam.Gateway || f.Dst.Netip() != fam.Guest || u.SrcPort() != dst.Port() || u.DstPort() != 40000 {
					t.Errorf("reply %v:%d > %v:%d, want %v > %v", f.Src.Netip(), u.SrcPort(), f.Dst.Netip(), u.DstPort(), dst, src)
				}
				if !bytes.Equal(u.Payload(), payload) {
					t.Errorf("guest got %d bytes, want %d", len(u.Payload()), size)
				}
				if f.TTL != packet.DefaultTTL {
					t.Errorf("TTL %d, want %d", f.TTL, packet.DefaultTTL)
				}
			})
		}
	}
}

func TestGuestPortIsKeptForAllPeers(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	one, two := hostSocket(t, "127.0.0.1"), hostSocket(t, "127.0.0.1")
	free := hostSocket(t, "127.0.0.1")
	port := addrOf(free).Port()
	_ = free.Close()
	src := netip.AddrPortFrom(guest4, port)
	e.guestSends(
		coretest.UDP(src, netip.AddrPortFrom(gateway4, addrOf(one).Port()), []byte("one")),
		coretest.UDP(src, netip.AddrPortFrom(gateway4, addrOf(two).Port()), []byte("two")),
	)
	_, from1 := receive(t, one)
	_, from2 := receive(t, two)
	if from1.Port() != port || from2.Port() != port {
		t.Errorf("source ports %d and %d, want %d twice", from1.Port(), from2.Port(), port)
	}
	send(t, two, from2, []byte("re: two"))
	got := e.guestGets(1)
	if u := got[0].UDP(t); u.SrcPort() != addrOf(two).Port() || string(u.Payload()) != "re: two" {
		t.Errorf("reply %q from port %d, want it from %d", u.Payload(), u.SrcPort(), addrOf(two).Port())
	}
}

func TestGuestsWithOnePortStayApart(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	peer := hostSocket(t, "127.0.0.1")
	dst := netip.AddrPortFrom(gateway4, addrOf(peer).Port())
	other := netip.MustParseAddr("10.66.0.3")
	for _, guest := range []netip.Addr{guest4, other} {
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest, 40001), dst, []byte(guest.String())))
	}
	for range 2 {
		b, from := receive(t, peer)
		send(t, peer, from, b)
		f := e.guestGets(1)[0]
		if got := string(f.UDP(t).Payload()); got != f.Dst.Netip().String() {
			t.Errorf("%v got the reply for %s", f.Dst.Netip(), got)
		}
	}
}

func TestEqualDatagramsLeaveWithOneCall(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizes []int
		sends uint64
	}{
		{"equal", []int{1400, 1400, 1400, 1400}, 1},
		{"short last", []int{1400, 1400, 7}, 1},
		{"short in between", []int{1400, 7, 1400}, 1},
		{"growing", []int{1, 2, 3}, 1},
		{"empty ones", []int{0, 0, 5, 0}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			peer := hostSocket(t, "127.0.0.1")
			src, dst := netip.AddrPortFrom(guest4, 40002), netip.AddrPortFrom(gateway4, addrOf(peer).Port())
			for i, size := range tt.sizes {
				e.Dev.Inject(coretest.UDP(src, dst, bytes.Repeat([]byte{byte(i)}, size)))
			}
			e.deliver()
			for i, size := range tt.sizes {
				if got, _ := receive(t, peer); !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
					t.Errorf("datagram %d: % x, want %d bytes of %d", i, got, size, i)
				}
			}
			if e.h.Stats.Sends != tt.sends || e.h.Stats.ToHost != uint64(len(tt.sizes)) {
				t.Errorf("%d datagrams with %d calls, want %d with %d", e.h.Stats.ToHost, e.h.Stats.Sends, len(tt.sizes), tt.sends)
			}
		})
	}
}

// TestInterleavedFlows checks that order within a flow survives a batch in
// which several flows alternate, at one call per flow.
func TestInterleavedFlows(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	one, two := hostSocket(t, "127.0.0.1"), hostSocket(t, "127.0.0.1")
	const rounds = 100
	for i := range rounds {
		for _, c := range []netip.AddrPort{addrOf(one), addrOf(two)} {
			e.Dev.Inject(coretest.UDP(netip.AddrPortFrom(guest4, 40003), netip.AddrPortFrom(gateway4, c.Port()), []byte{byte(i)}))
		}
	}
	e.deliver()
	for i := range rounds {
		a, _ := receive(t, one)
		b, _ := receive(t, two)
		if len(a) != 1 || a[0] != byte(i) || len(b) != 1 || b[0] != byte(i) {
			t.Fatalf("datagram %d: % x and % x", i, a, b)
		}
	}
	if e.h.Stats.Sends != 2 {
		t.Errorf("%d calls, want 2", e.h.Stats.Sends)
	}
}

func TestSuperFrameFromGuest(t *testing.T) {
	for _, tt := range []struct {
		name             string
		bytes, segment   int
		limit            int // of flow, 0: none
		minSend, maxSend uint64
	}{
		{"in one call", 14000, 1400, 0, 1, 1},
		{"with a short end", 14001, 1400, 0, 1, 1},
		{"more segments than the kernel cuts", 30000, 100, 0, 3, 8},
		{"known to be refused", 14000, 1400, 1400, 1, 1},
	} {
		for _, fam := range coretest.Families {
			t.Run(tt.name+"/"+fam.Name, func(t *testing.T) {
				e := newEnv(t, coretest.AllFeatures)
				peer := hostSocket(t, fam.Loopback.String())
				src, dst := netip.AddrPortFrom(fam.Guest, 40004), netip.AddrPortFrom(fam.Gateway, addrOf(peer).Port())
				e.guestSends(coretest.UDP(src, dst, []byte("first")))
				receive(t, peer)
				e.h.flows[e.h.recent].segLimit = tt.limit
				before := e.h.Stats.Sends

				payload := make([]byte, tt.bytes)
				for i := range payload {
					payload[i] = byte(i * 7)
				}
				e.Dev.InjectVnet(coretest.Partial(coretest.UDP(src, dst, payload), tt.segment))
				e.deliver()
				for rest := payload; len(rest) > 0; {
					n := min(tt.segment, len(rest))
					if got, _ := receive(t, peer); !bytes.Equal(got, rest[:n]) {
						t.Fatalf("datagram of %d bytes, want %d at offset %d", len(got), n, len(payload)-len(rest))
					}
					rest = rest[n:]
				}
				if n := e.h.Stats.Sends - before; n < tt.minSend || n > tt.maxSend {
					t.Errorf("%d calls, want %d to %d", n, tt.minSend, tt.maxSend)
				}
			})
		}
	}
}

func TestDropsFromGuest(t *testing.T) {
	ap := netip.MustParseAddrPort
	for _, tt := range []struct {
		name     string
		change   func(*config.Config)
		src, dst netip.AddrPort
		want     packet.Drop
	}{
		{"loopback destination", nil, ap("10.66.0.2:1"), ap("127.0.0.1:2"), packet.DropAddress},
		{"loopback source", nil, ap("127.0.0.1:1"), ap("10.77.0.1:2"), packet.DropAddress},
		{"unspecified source", nil, ap("0.0.0.0:1"), ap("10.77.0.1:2"), packet.DropAddress},
		{"multicast source", nil, ap("[ff02::1]:1"), ap("[fd77::1]:2"), packet.DropAddress},
		{"destination port 0", nil, ap("10.66.0.2:1"), ap("10.66.0.1:0"), packet.DropAddress},
		{"source port 0", nil, ap("10.66.0.2:0"), ap("10.66.0.1:2"), packet.DropAddress},
		{"family off", func(c *config.Config) { c.V6.Enabled = false }, ap("[fd66::2]:1"), ap("[fd66::1]:2"), packet.DropDisabled},
		{"protocol off", func(c *config.Config) { c.UDP = false }, ap("10.66.0.2:1"), ap("10.66.0.1:2"), packet.DropDisabled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := coretest.Config()
			if tt.change != nil {
				tt.change(cfg)
			}
			e := newEnvWith(t, coretest.AllFeatures, cfg)
			e.guestSends(coretest.UDP(tt.src, tt.dst, []byte("x")))
			if e.Link.Stats.Drops[tt.want] != 1 || e.h.Len() != 0 {
				t.Errorf("drops %v with %d flows, want one %v and none", e.Link.Stats.Drops, e.h.Len(), tt.want)
			}
		})
	}
}

// TestNoSelfConnection checks that a datagram to a port where nobody listens does
// not come back when the guest's port is the same.
func TestNoSelfConnection(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	free := hostSocket(t, "127.0.0.1")
	port := addrOf(free).Port()
	_ = free.Close()
	e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, port), netip.AddrPortFrom(gateway4, port), []byte("hello?")))
	e.turn()
	for _, f := range e.Dev.Take(t) {
		if f.Proto == packet.ProtoUDP {
			t.Errorf("guest got its own datagram: % x", f.L3)
		}
	}
	if e.h.Stats.HostErrors != 1 {
		t.Errorf("%d errors for the guest, want 1", e.h.Stats.HostErrors)
	}
}

func TestPlainDeviceSegmentsHere(t *testing.T) {
	for _, feat := range []tap.Features{{}, {VnetHdr: true, Checksum: true}, coretest.AllFeatures} {
		e := newEnv(t, feat)
		peer := hostSocket(t, "127.0.0.1")
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40005), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil))
		_, from := receive(t, peer)
		const count = 100
		for i := range count {
			send(t, peer, from, bytes.Repeat([]byte{byte(i)}, 600))
		}
		frames := e.guestGets(count)
		for i, d := range coretest.Datagrams(t, frames) {
			if !bytes.Equal(d, bytes.Repeat([]byte{byte(i)}, 600)) {
				t.Fatalf("%+v: datagram %d is % x", feat, i, d)
			}
		}
		want := count
		if feat.USO {
			want = 2 // 64 datagrams at most each
		}
		if len(frames) != want {
			t.Errorf("%+v: %d frames, want %d", feat, len(frames), want)
		}
	}
}
