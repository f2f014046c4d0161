package engine

import (
	"errors"
	"net/netip"
	"syscall"
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
	inject := func(s string) {
		f.dev.Inject(coretest.UDP(netip.AddrPortFrom(fam.Guest, 4000), service, []byte(s)))
	}
	inject("first")
	inject("second")
	if !f.probe() || f.dev.Waiting() != 1 {
		t.Fatalf("%d frames wait after probe, want 1 of 2", f.dev.Waiting())
	}
	f.until("end of frames", func() bool { return f.dev.Waiting() == 0 })
	inject("third")
	f.until("end of frames", func() bool { return f.dev.Waiting() == 0 })
	b := make([]byte, 16)
	for _, want := range []string{"first", "second", "third"} {
		if n, _, err := c.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != want {
			t.Errorf("host got %q, %v, want %q", b[:n], err, want)
		}
	}
}

// failing is a device whose reads fail.
type failing struct {
	tap.Device
	errno syscall.Errno
}

func (f failing) Recv([]byte) (int, syscall.Errno) { return 0, f.errno }

func TestErrorsOfProbe(t *testing.T) {
	for _, tt := range []struct {
		errno        syscall.Errno
		probed, ends bool
	}{
		{syscall.EAGAIN, false, false},
		{syscall.EIO, true, false}, // the link is down
		{syscall.EBADFD, true, true},
	} {
		t.Run(tt.errno.Error(), func(t *testing.T) {
			e := newEngine(t, testConfig(), failing{coretest.NewMemTap(t, coretest.AllFeatures), tt.errno})
			if got := e.probe(); got != tt.probed {
				t.Errorf("probe gives %v, want %v", got, tt.probed)
			}
			e.loop.Post(func() {})
			if err := e.turn(); errors.Is(err, ErrTap) != tt.ends {
				t.Errorf("turn gives %v, want an end: %v", err, tt.ends)
			}
		})
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
			asked, again := 0, 0
			for try := 0; try < 20 && asked == 0; try++ { // it does not poll where others had the processor
				asked, again = askedAfter(t, tt.sent, tt.queue)
			}
			if (asked > 0) != tt.want {
				t.Errorf("tap tried %d times, want it: %v", asked, tt.want)
			}
			if again > 0 {
				t.Errorf("tap tried %d times after a turn that sent nothing", again)
			}
		})
	}
}

// askedAfter counts how often an engine that polls tries the tap after a turn that sent so
// many bytes, and after the turns that follow.
func askedAfter(t *testing.T, sent uint64, queue bool) (asked, again int) {
	t.Helper()
	f := newFixture(t, testConfig(), coretest.AllFeatures)
	if f.tap.probe == nil {
		t.Fatal("an engine has no probe")
	}
	count := &asked
	f.tap.probe = func() bool { *count++; return false }
	if queue {
		f.tap.queue = collector{f.dev}
	}
	f.quickTurn()
	f.link.Stats.ToGuestBytes += sent
	f.slowTurn()
	count = &again
	f.quickTurn()
	f.slowTurn()
	return asked, again
}

// quickTurn is one for which an event is there already: the loop polls in the next.
func (f *fixture) quickTurn() {
	f.loop.Post(func() {})
	if err := f.turn(); err != nil {
		f.t.Fatal(err)
	}
}

// slowTurn is one whose event comes after polling has ended.
func (f *fixture) slowTurn() {
	time.AfterFunc(time.Millisecond, func() { f.loop.Post(func() {}) })
	if err := f.turn(); err != nil {
		f.t.Fatal(err)
	}
}

// collector is a device that collects frames, of which it has none.
type collector struct{ tap.Device }

func (collector) Flush() bool { return false }
