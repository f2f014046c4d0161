package loop

import (
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

// play notes events that polling found, then some that came soon after it, then looks
// that others ran in.
func play(l *Loop, found, late, stolen int) {
	for range found {
		l.looked(true, time.Microsecond)
	}
	for range late {
		l.learn(false)
		l.cameLate(lateWeight)
	}
	for i := range stolen {
		l.looked(i%2 == 0, 4*time.Millisecond)
	}
}

func TestPollingIsGivenUpWhereProcessorsAreScarce(t *testing.T) {
	for _, tt := range []struct {
		name                string
		found, late, stolen int  // of each round
		want                bool // that polling goes on
	}{
		{"quiet", 100, 1, 0, true},
		{"a process shares the processor now and then", 4, 1, 0, true},
		{"others take half of the time", 1, 1, 0, false},
		{"a process has a slice now and then", 20, 0, 1, true},
		{"others have a slice each time", 4, 0, 1, false},
		{"nothing is found meanwhile", 0, 0, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, shunned := &Loop{}, false
			for range 30 {
				play(l, tt.found, tt.late, tt.stolen)
				shunned = shunned || l.trust < 0
			}
			if shunned == tt.want {
				t.Errorf("polling given up: %v, want %v", shunned, !tt.want)
			}
		})
	}
}

// After it was given up, polling is tried again once enough short waits have passed.
func TestPollingIsTriedAgain(t *testing.T) {
	l := &Loop{trust: -shun}
	for range shun {
		l.learn(true)
	}
	if l.learn(false); l.trust != 0 {
		t.Errorf("trust %d after %d short waits, want 0", l.trust, shun)
	}
	if l.learn(true); l.trust != 1 {
		t.Errorf("trust %d, want 1", l.trust)
	}
}

// A probe is asked at all looks but the first of the next Wait, and of no other, if that polls; an event
// that is there already comes first.
func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		trust                 int
		pending               bool // an event
		finds, comes          int  // at which call the probe finds something, or an event comes
		wantCalls, wantEvents int
	}{
		{"finds something when asked again", maxTrust, false, 2, 0, 2, 0},
		{"an event is there", maxTrust, true, 2, 0, 0, 1},
		{"an event comes meanwhile", maxTrust, false, 0, 1, looks - 1, 1},
		{"no polling", 0, true, 2, 0, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, r, w := watched(t, In)
			if tt.pending {
				write(t, w, "x")
			}
			calls := 0
			l.trust = tt.trust
			l.Probe(func() bool {
				if calls++; calls == tt.comes {
					write(t, w, "x")
				}
				return calls == tt.finds
			})
			events, err := l.Wait(int64(time.Minute))
			if err != nil || calls != tt.wantCalls || len(events) != tt.wantEvents {
				t.Errorf("%d events, %v, asked %d times, want %d and %d", len(events), err, calls, tt.wantEvents, tt.wantCalls)
			}
			_, _ = sys.Read(r, make([]byte, 8))
			l.trust = maxTrust
			events, err = l.Wait(int64(time.Since(l.start)) + int64(time.Millisecond))
			if err != nil || calls != tt.wantCalls || len(events) != 0 {
				t.Errorf("the next Wait: %d events, %v, asked %d times", len(events), err, calls-tt.wantCalls)
			}
		})
	}
}
