package neigh

import (
	"log/slog"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// seeds are frames that reach the parsers; those with answer are answered.
func seeds(t testing.TB) []struct {
	frame  []byte
	answer bool
} {
	return []struct {
		frame  []byte
		answer bool
	}{
		{arpFrame(t, arpForGateway), true},
		{arpFrame(t, ""), false},
		{ndFrame(t, guestLL, ns, targetWorld+"0101 020000000002"), true},
		{ndFrame(t, guestLL, rs, "00000000 0101 020000000002"), true},
		{ndFrame(t, guestLL, ns, targetWorld+"0100 020000000002"), false},
		{ndFrame(t, guestLL, packet.ICMPv6Redirect, targetGuest+"20010db8000000000000000000000001"), false},
	}
}

func TestSeedsReachTheParsers(t *testing.T) {
	for i, s := range seeds(t) {
		f := newFixture(t, testConfig())
		if !f.receive(t, s.frame, 0) || (f.dev.Sent() == 1) != s.answer {
			t.Errorf("seed %d: not handled, or %d frames sent", i, f.dev.Sent())
		}
	}
}

// FuzzFromTap: whatever frame comes, at most one answer, and a valid one. The
// checksum is not checked, or hardly any input would get past it.
func FuzzFromTap(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s.frame)
	}
	cfg := testConfig()
	link, dev := coretest.NewLink(f, tap.Features{})
	h := New(cfg, link, nil, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var p packet.Packet
		if p.Parse(frame) != packet.DropNone {
			return
		}
		handled := h.FromTap(&p, 0)
		frames := dev.Take(t)
		if len(frames) > 1 || len(frames) == 1 && !handled {
			t.Fatalf("%d answers, handled %v", len(frames), handled)
		}
		if len(frames) == 1 && frames[0].EtherType == packet.EtherTypeIP6 {
			if _, ok := packet.ParseND(&frames[0].Packet); !ok {
				t.Errorf("answer is not valid: % x", frames[0].L3)
			}
		}
	})
}
