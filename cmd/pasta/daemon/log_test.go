package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorder is a sink that keeps what it gets.
type recorder struct{ lines []string }

func (r *recorder) write(e entry) { r.lines = append(r.lines, levelWord(e.level)+e.text) }

// stuck is a sink that takes nothing until it is released.
type stuck struct {
	entered, release chan struct{}
	recorder
}

func (s *stuck) write(e entry) {
	if s.entered != nil {
		close(s.entered)
		s.entered = nil
	}
	<-s.release
	s.recorder.write(e)
}

func TestHandlerRendersAttributes(t *testing.T) {
	var r recorder
	log, q := newLogger(slog.LevelDebug, time.Now(), []sink{&r})
	log.Info("plain")
	log.With("flow", 3).WithGroup("tcp").Warn("closed", "err", os.ErrClosed, slog.Group("side", "port", 80))
	log.Log(t.Context(), levelTrace, "too fine")
	q.flush()
	want := []string{
		"info:    plain",
		"WARNING: closed flow=3 tcp.err=file already closed tcp.side.port=80",
	}
	if diff := cmp.Diff(want, r.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestSlogLevel(t *testing.T) {
	spawn := Target{Spawn: true}
	tests := []struct {
		name string
		o    Options
		want slog.Level
	}{
		{"default", Options{}, slog.LevelInfo},
		{"quiet", Options{Level: LevelQuiet}, slog.LevelWarn},
		{"spawned command", Options{Target: spawn}, slog.LevelWarn},
		{"spawned command, debugging", Options{Target: spawn, Level: LevelDebug}, slog.LevelDebug},
		{"trace", Options{Level: LevelTrace}, levelTrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.o.slogLevel(); got != tt.want {
				t.Errorf("level: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestQueueNeverBlocksTheLogger(t *testing.T) {
	s := &stuck{entered: make(chan struct{}), release: make(chan struct{})}
	entered := s.entered
	log, q := newLogger(slog.LevelInfo, time.Now(), []sink{s})
	log.Info("first")
	<-entered
	const tooMany = 5
	for i := range queueLen + tooMany {
		log.Info("more", "i", i)
	}
	if got := q.lost.Load(); got != tooMany {
		t.Errorf("lost messages: got %d, want %d", got, tooMany)
	}
	close(s.release)
	q.flush()
	if len(s.lines) != queueLen+2 || s.lines[1] != fmt.Sprintf("WARNING: %d messages lost", tooMany) {
		t.Errorf("lines: got %d, second %q, want %d and the number of lost ones", len(s.lines), s.lines[1], queueLen+2)
	}
}

func TestFlushGivesUpOnStuckSink(t *testing.T) {
	s := &stuck{release: make(chan struct{})}
	log, q := newLogger(slog.LevelInfo, time.Now(), []sink{s})
	log.Info("never written")
	start := time.Now()
	q.flush()
	if took := time.Since(start); took < flushLimit {
		t.Errorf("flush: returned after %v, want the limit %v", took, flushLimit)
	}
	close(s.release)
	q.flush()
	if len(s.lines) != 1 {
		t.Errorf("lines after release: got %q, want one", s.lines)
	}
}

// newTestFile makes a log file with a size limit.
func newTestFile(t *testing.T, limit int) (*logFile, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	f, err := create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	l, err := openLogFile(f, limit, "pasta 1: /bin/pasta (7)")
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogFileFormat(t *testing.T) {
	l, path := newTestFile(t, 1<<20)
	for _, level := range []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		l.write(entry{level: level, since: 1234567 * time.Microsecond, text: "text"})
	}
	want := "pasta 1: /bin/pasta (7)\n" +
		"1.2346: ERROR:   text\n1.2346: WARNING: text\n1.2346: info:    text\n1.2346:          text\n"
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v, want 0600", st.Mode(), err)
	}
}

func TestLogFileGoesOnAfterTheFront(t *testing.T) {
	l, path := newTestFile(t, 1<<20)
	l.write(entry{text: "front"})
	again, err := openLogFile(l.file, 1<<20, l.header)
	if err != nil {
		t.Fatal(err)
	}
	again.write(entry{text: "daemon"})
	got := read(t, path)
	if strings.Count(got, l.header) != 1 || !strings.Contains(got, "front\n0.0000: info:    daemon\n") {
		t.Errorf("file: got %q, want one header and both messages", got)
	}
}

func TestLogFileIsCutAtItsLimit(t *testing.T) {
	const limit = 40960
	l, path := newTestFile(t, limit)
	line := entry{level: slog.LevelInfo, since: 2 * time.Second}
	const lines = 3000
	for i := range lines {
		line.text = fmt.Sprintf("message %06d", i)
		l.write(line)
		if l.size > limit {
			t.Fatalf("size after message %d: got %d, want at most %d", i, l.size, limit)
		}
	}
	got := strings.SplitAfter(read(t, path), "\n")
	if want := "pasta 1: /bin/pasta (7) - log truncated at 2.0000\n"; got[0] != want {
		t.Errorf("header: got %q, want %q", got[0], want)
	}
	first := 0
	if _, err := fmt.Sscanf(got[1], "2.0000: info:    message %d\n", &first); err != nil {
		t.Fatalf("first message %q: %v", got[1], err)
	}
	for i, text := range got[1 : len(got)-1] {
		if want := fmt.Sprintf("2.0000: info:    message %06d\n", first+i); text != want {
			t.Fatalf("message %d: got %q, want %q", i, text, want)
		}
	}
	if last := first + len(got) - 3; last != lines-1 {
		t.Errorf("last message: got %d, want %d", last, lines-1)
	}
	if kept := l.size; kept < limit*(100-cutPercent)/100-2*pageSize {
		t.Errorf("size: got %d, want about 70 %% of the limit or more", kept)
	}
}

func TestSyslogDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := dialSyslog(path, "pasta")
	if err != nil {
		t.Fatal(err)
	}
	defer s.conn.Close()
	tests := []struct {
		level slog.Level
		want  string
	}{
		{slog.LevelError, "<27> pasta: text"},
		{slog.LevelWarn, "<28> pasta: text"},
		{slog.LevelInfo, "<30> pasta: text"},
		{slog.LevelDebug, "<31> pasta: text"},
	}
	for _, tt := range tests {
		s.write(entry{level: tt.level, text: "text"})
		buf := make([]byte, 100)
		n, _, err := c.ReadFrom(buf)
		if got := string(buf[:n]); err != nil || got != tt.want {
			t.Errorf("datagram at %v: got %q, %v, want %q", tt.level, got, err, tt.want)
		}
	}
}

func TestSyslogMissing(t *testing.T) {
	if _, err := dialSyslog(filepath.Join(t.TempDir(), "log"), "pasta"); err == nil {
		t.Error("dial without system log: got nil, want an error")
	}
}

func TestStderrTimes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = w
	stderrSink{}.write(entry{since: time.Second, text: "plain"})
	stderrSink{times: true}.write(entry{since: 1500 * time.Millisecond, text: "timed"})
	os.Stderr = old
	w.Close()
	b, err := io.ReadAll(r)
	if want := "plain\n1.5000: timed\n"; err != nil || string(b) != want {
		t.Errorf("standard error: got %q, %v, want %q", b, err, want)
	}
}
