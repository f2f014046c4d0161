package dhcp

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

func TestSearchList4(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		in         []string
		warnings   int
	}{
		{"none", "", nil, 0},
		{"one", "\x03lan\x00", []string{"lan"}, 0},
		{"shared parent", "\x01a\x02ex\x03org\x00\x01b\xc0\x02", []string{"a.ex.org", "b.ex.org"}, 0},
		{"parent alone", "\x01a\x02ex\x03org\x00\xc0\x02", []string{"a.ex.org", "ex.org."}, 0},
		{"invalid", "\x03lan\x00", []string{"a..b", "lan", strings.Repeat("a", 64)}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			got := searchList4(tt.in, slog.New(slog.NewTextHandler(&log, nil)))
			if string(got) != tt.want {
				t.Errorf("searchList4(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != tt.warnings {
				t.Errorf("%d warnings, want %d: %s", n, tt.warnings, log.String())
			}
		})
	}
}

// FuzzSearchList4: an independent decoder reads the same names.
func FuzzSearchList4(f *testing.F) {
	f.Add("a.ex.org b.ex.org ex.org")
	f.Add("a..b " + strings.Repeat("a.", 200))
	f.Fuzz(func(t *testing.T, s string) {
		names := validNames(strings.Split(s, " "), slog.New(slog.DiscardHandler))
		if len(s) > 4000 { // beyond the reach of pointers
			return
		}
		got, err := rfc1035label.FromBytes(searchList4(names, slog.New(slog.DiscardHandler)))
		if err != nil && strings.Contains(err.Error(), "nested pointers") {
			return // a limit of that decoder
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(append([]string{}, names...), got.Labels); d != "" {
			t.Errorf("names (-want +got):\n%s", d)
		}
	})
}

func TestEventLogIsLimited(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	e := newEventLog(slog.New(slog.NewTextHandler(&out, nil)))
	e.now = func() time.Time { return now }
	for range 3 * maxEvents {
		e.answered("what", "who")
	}
	if n := strings.Count(out.String(), "msg=what"); n != maxEvents {
		t.Errorf("%d messages at once, want %d", n, maxEvents)
	}
	now = now.Add(eventPeriod)
	e.answered("later", "who")
	if !strings.Contains(out.String(), "msg=later") {
		t.Errorf("no message in the next period: %s", out.String())
	}
}
