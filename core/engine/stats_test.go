package engine

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/pcap"
	"github.com/pasta-net/pasta/core/reasm"
)

// TestReportsOnlyAfterEvents: an idle run stays asleep, a busy one is reported at
// the interval.
func TestReportsOnlyAfterEvents(t *testing.T) {
	f := newFixture(t, testConfig(), coretest.AllFeatures)
	var log bytes.Buffer
	f.log = slog.New(slog.NewTextHandler(&log, nil))
	f.reporter = newReporter(time.Second)
	const start = int64(5)
	due := start + int64(time.Second)
	for _, step := range []struct {
		name   string
		now    int64
		frames uint64
		want   bool
		next   int64
	}{
		{"nothing happened", start, 0, false, f.reporter.next},
		{"first frame", start, 1, false, due},
		{"before the interval", due - 1, 1, false, due},
		{"interval", due, 0, true, f.reporter.next},
		{"idle again", 2 * due, 0, false, f.reporter.next},
	} {
		log.Reset()
		f.link.Stats.FromGuest += step.frames
		f.report(step.now)
		if got := strings.Contains(log.String(), "Frames: 2 from guest"); got != step.want {
			t.Errorf("%s: log %q, want a report: %v", step.name, log.String(), step.want)
		}
		if f.reporter.next != step.next {
			t.Errorf("%s: next report at %d, want %d", step.name, f.reporter.next, step.next)
		}
	}
}

// TestCounters checks that a report has what an operator looks for when packets
// get lost.
func TestCounters(t *testing.T) {
	f := newFixture(t, testConfig(), coretest.AllFeatures)
	f.tcp.Stats.Held, f.tcp.Stats.Dropped, f.tcp.Stats.OutOfOrder, f.tcp.Stats.ChallengeAcks = 1, 2, 3, 4
	f.link.Stats.Drops[packet.DropFragment], f.link.Stats.Drops[packet.DropChecksum] = 5, 6
	f.udp.Stats.HostDrops[packet.DropTableFull] = 7
	f.reasm.Stats = reasm.Stats{Fragments: 9, Packets: 1, Conflicts: 2, Timeouts: 3, Displaced: 4}
	if got := strings.Join(f.counters(), "\n"); strings.Contains(got, "Capture") {
		t.Errorf("report without capture has a line about it:\n%s", got)
	}
	f.capture = &pcap.Writer{Lost: 8}
	got := strings.Join(f.counters(), "\n")
	for _, want := range []string{
		"TCP from guest: 1 bytes held for slow peers, 2 bytes refused, 3 segments beyond a gap, 4 challenge ACKs",
		"Dropped from guest: checksum 6, fragment 5\n",
		"Dropped from host, UDP: table-full 7\n",
		"Dropped from host, ICMP: none\n",
		"Fragments: 9 from guest, 1 packets made of them, 2 given up as overlapping, 3 as incomplete, 4 for others",
		"Capture: 8 frames lost",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestFullDiskEndsTheCapture: nothing but the capture, and the user is told.
func TestFullDiskEndsTheCapture(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var log bytes.Buffer
	e, err := New(Options{
		Config: testConfig(), Device: coretest.NewMemTap(t, coretest.AllFeatures),
		Log: slog.New(slog.NewTextHandler(&log, nil)), Pcap: full,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.closeFlows(); e.Close() })
	want := `level=WARN msg="go on without capture" file=/dev/full err="write capture: no space left on device"` + "\n"
	if _, got, _ := strings.Cut(log.String(), " "); got != want {
		t.Errorf("log: got %q, want %q", got, want)
	}
}

// TestCaptureIsCounted: a capture that was asked for has its line.
func TestCaptureIsCounted(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "capture"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	e, err := New(Options{
		Config: testConfig(), Device: coretest.NewMemTap(t, coretest.AllFeatures),
		Log: slog.New(slog.DiscardHandler), Pcap: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.closeFlows(); e.Close() })
	if got := strings.Join(e.counters(), "\n"); !strings.Contains(got, "Capture: 0 frames lost") {
		t.Errorf("no line about the capture in\n%s", got)
	}
}
