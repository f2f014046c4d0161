package neigh

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
)

const second = int64(time.Second)

func TestScheduleOfAdvertisements(t *testing.T) {
	f := newFixture(t, testConfig())
	if f.NextDeadline() != loop.NoDeadline {
		t.Errorf("deadline %d before Start", f.NextDeadline())
	}
	randoms := []int64{0, 400 * second, 100 * second}
	f.random = func(n int64) int64 {
		if n != 400*second+1 {
			t.Errorf("random number below %d wanted", n)
		}
		r := randoms[0]
		randoms = randoms[1:]
		return r
	}
	f.Start(10 * second)
	f.dev.Discard()
	for i, want := range []int64{210, 810} {
		if got := f.NextDeadline(); got != want*second {
			t.Fatalf("deadline %d: %d, want %d", i, got, want*second)
		}
		f.Expire(want*second - 1)
		if f.dev.Sent() != 0 {
			t.Errorf("advertisement %d too early", i)
		}
		f.Expire(want * second)
		got := f.dev.One(t)
		if got.EthDst != packet.AllNodesMAC || got.Dst != packet.AllNodes || got.L4[0] != packet.ICMPv6RouterAdvert {
			t.Errorf("sent type %d to %x, %v", got.L4[0], got.EthDst, got.Dst.Netip())
		}
	}
	if got := f.NextDeadline(); got != (810+300)*second {
		t.Errorf("last deadline %d", got)
	}
}

func TestRealRandomStaysWithinInterval(t *testing.T) {
	f := newFixture(t, testConfig())
	h := New(testConfig(), f.link, nil, f.Handler.log)
	for range 1000 {
		h.scheduleRA(0)
		if h.nextRA < 200*second || h.nextRA > 600*second {
			t.Fatalf("next advertisement after %v", time.Duration(h.nextRA))
		}
	}
}

// TestSolicitationWithoutAddress: the answer is multicast, at most every 3 s.
func TestSolicitationWithoutAddress(t *testing.T) {
	f := newFixture(t, testConfig())
	f.Start(0)
	f.dev.Discard()
	solicit := func(now int64) {
		f.receive(t, ndFrame(t, netip.IPv6Unspecified(), rs, "00000000"), now)
	}
	solicit(5 * second)
	if got := f.NextDeadline(); got != 5*second {
		t.Fatalf("deadline %d, want now", got)
	}
	f.Expire(5 * second)
	if got := f.dev.One(t); got.Dst != packet.AllNodes {
		t.Errorf("sent to %v", got.Dst.Netip())
	}
	solicit(6 * second)
	if got := f.NextDeadline(); got != 8*second {
		t.Errorf("deadline %d after a second solicitation, want %d", got, 8*second)
	}
	f.Expire(6 * second)
	if f.dev.Sent() != 0 {
		t.Error("two multicast advertisements within 3 s")
	}
}

func TestNoDeadlineWithoutAdvertisements(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"RA off":     func(c *config.Config) { c.Link.RA = false },
		"family off": func(c *config.Config) { c.V6.Enabled = false },
	} {
		cfg := testConfig()
		change(cfg)
		f := newFixture(t, cfg)
		f.Start(0)
		f.receive(t, ndFrame(t, netip.IPv6Unspecified(), rs, "00000000"), 0)
		if f.NextDeadline() != loop.NoDeadline {
			t.Errorf("%s: deadline %d", name, f.NextDeadline())
		}
	}
}
