package engine

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// family is what differs between the IP versions; the gateway stands for the
// host's loopback.
type family struct {
	name                     string
	guest, gateway, loopback netip.Addr
}

func families() []family {
	addr := netip.MustParseAddr
	return []family{
		{"IPv4", addr("10.66.0.2"), addr("10.66.0.1"), addr("127.0.0.1")},
		{"IPv6", addr("fd66::2"), addr("fd66::1"), addr("::1")},
	}
}

// testConfig serves everything, but without timers of its own.
func testConfig() *config.Config {
	of := func(f family) config.Family {
		return config.Family{
			Enabled: true, Guest: f.guest, PrefixLen: 24, Gateway: f.gateway, Our: f.gateway, MapHostLoopback: f.gateway,
		}
	}
	list := families()
	return &config.Config{
		MTU: 1500, OurMAC: coretest.OurMAC, GuestMAC: coretest.GuestMAC, V4: of(list[0]), V6: of(list[1]),
		OurLinkLocal: netip.MustParseAddr("fe80::1"), TCP: true, UDP: true, ICMP: true,
		Link: config.Link{DHCP: true, DHCPv6: true, NDP: true},
	}
}

// fixture is an engine on an in-memory tap, turned by the test itself.
type fixture struct {
	*Engine
	t   testing.TB
	dev *coretest.MemTap
}

func newFixture(t testing.TB, cfg *config.Config, feat tap.Features) *fixture {
	t.Helper()
	dev := coretest.NewMemTap(t, feat)
	return &fixture{Engine: newEngine(t, cfg, dev), t: t, dev: dev}
}

func newEngine(t testing.TB, cfg *config.Config, dev tap.Device) *Engine {
	t.Helper()
	e, err := New(Options{Config: cfg, Device: dev, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	return e
}

// receive has the guest send frames, and handles them.
func (f *fixture) receive(frames ...[]byte) {
	f.t.Helper()
	for _, frame := range frames {
		f.dev.Inject(frame)
	}
	for f.dev.Waiting() > 0 {
		if err := f.turn(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// until turns the loop until done, or fails after some seconds.
func (f *fixture) until(what string, done func() bool) {
	f.t.Helper()
	late := false
	alarm := time.AfterFunc(5*time.Second, func() { f.loop.Post(func() { late = true }) })
	defer alarm.Stop()
	for !done() {
		if late {
			f.t.Fatalf("still no %s", what)
		}
		if err := f.turn(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// drops gives the reasons counted, without those of which there are none.
func (f *fixture) drops() map[packet.Drop]uint64 {
	m := map[packet.Drop]uint64{}
	for d, n := range f.link.Stats.Drops {
		if n > 0 {
			m[packet.Drop(d)] = n
		}
	}
	return m
}
