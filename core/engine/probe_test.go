package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/tap"
)

// TestProbedFrameComesFirst: what probe has read is handled once, before what came after it.
func TestProbedFrameComesFirst(t *testing.T) {
	fam := coretest.Families[0]
	c, service := udpService(t, fam)
	f := newFixture(t, testConfig(), coretest.AllFeatures)
	if f.probe() {
		t.Error("probe tells of a frame before there was one")
	}
	want := []string{"first", "second"}
	for _, s := range want {
		f.dev.Inject(coretest.UDP(netip.AddrPortFrom(fam.Guest, 4000), service, []byte(s)))
	}
	if !f.probe() || f.dev.Waiting() != 1 {
		t.Fatalf("%d frames wait after probe, want 1 of 2", f.dev.Waiting())
	}
	f.until("end of frames", func() bool { return f.dev.Waiting() == 0 })
	b := make([]byte, 16)
	for _, s := range want {
		if n, _, err := c.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != s {
			t.Errorf("host got %q, %v, want %q", b[:n], err, s)
		}
	}
	_ = c.SetReadDeadline(time.Now())
	if n, _, err := c.ReadFromUDPAddrPort(b); err == nil {
		t.Errorf("host got %q as well", b[:n])
	}
}

// TestProbeAfterLittle: the loop tries the tap itself after a turn that sent the guest a
// little, unless the device collects frames.
func TestProbeAfterLittle(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sent  uint64 // bytes
		queue bool
		want  bool
	}{
		{"nothing", 0, false, false},
		{"one packet", 60, false, true},
		{"much", probeBelow, false, false},
		{"a queue", 60, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, testConfig(), coretest.AllFeatures)
			if tt.queue {
				f.tap.queue = collector{}
			}
			asked := false
			for try := 0; try < 50 && !asked; try++ { // where others had the processor, it does not poll
				f.tap.probe = nil
				f.quickTurns(5)
				f.tap.probe = func() bool { asked = true; return false }
				f.link.Stats.ToGuestBytes += tt.sent
				f.expectAnswer()
				f.wait(time.Millisecond)
			}
			if asked != tt.want {
				t.Errorf("tap tried: %v, want %v", asked, tt.want)
			}
		})
	}
}

// quickTurns lets the loop wait for n events that are there already: it polls from then on.
func (f *fixture) quickTurns(n int) {
	for range n {
		f.loop.Post(func() {})
		f.wait(time.Second)
		f.loop.RunInbox()
	}
}

func (f *fixture) wait(d time.Duration) {
	f.t.Helper()
	if _, err := f.loop.Wait(f.loop.Now() + int64(d)); err != nil {
		f.t.Fatal(err)
	}
}

// collector is a device that collects frames.
type collector struct{ tap.Queue }
