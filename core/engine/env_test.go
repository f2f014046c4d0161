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

// testConfig serves everything, but without timers of its own.
func testConfig() *config.Config {
	c := coretest.Config()
	c.OurLinkLocal = netip.MustParseAddr("fe80::1")
	c.Link = config.Link{DHCP: true, DHCPv6: true, NDP: true}
	return c
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
	t.Cleanup(func() { e.closeFlows(); e.Close() })
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

// drops gives the reasons counted.
func (f *fixture) drops() map[packet.Drop]uint64 { return coretest.Drops(f.link) }
