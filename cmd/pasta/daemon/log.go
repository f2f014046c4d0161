package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
)

// levelTrace is for messages about single packets and events.
const levelTrace = slog.LevelDebug - 4

// slogLevel gives the least severe level that is logged. A spawned command has
// the terminal for itself: warnings only, unless more is asked for.
func (o *Options) slogLevel() slog.Level {
	switch {
	case o.Level == LevelTrace:
		return levelTrace
	case o.Level == LevelDebug:
		return slog.LevelDebug
	case o.Level == LevelQuiet || o.Target.Spawn:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// foreground tells whether the front stays until the end of the run.
func (o *Options) foreground() bool { return o.Foreground || o.Target.Spawn }

// entry is one message on its way to the sinks.
type entry struct {
	level slog.Level
	// since is the time since the start of the front.
	since time.Duration
	text  string
	// flushed, if set, makes the entry a mark in the queue without a message.
	flushed chan<- struct{}
}

// stamp is the time in the form "S.FFFF".
func (e entry) stamp() string { return fmt.Sprintf("%.4f", e.since.Seconds()) }

// sink is a place where messages go. Only the goroutine of its queue calls it.
// A message that cannot be written is lost: there is nobody to tell.
type sink interface {
	write(e entry)
}

// handler is a slog.Handler that renders "message key=value ..." and leaves the
// rest to the sinks of its queue. It never blocks.
type handler struct {
	level slog.Level
	start time.Time
	queue *logQueue
	// suffix holds the attributes of WithAttrs, rendered; prefix the groups.
	suffix, prefix string
}

// Enabled tells whether level is logged.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle queues the record, or drops it if the sinks do not keep up.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.suffix)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.prefix, a)
		return true
	})
	h.queue.put(entry{level: r.Level, since: r.Time.Sub(h.start), text: b.String()})
	return nil
}

// WithAttrs gives a handler that adds attrs to every message.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.suffix)
	for _, a := range attrs {
		writeAttr(&b, h.prefix, a)
	}
	c := *h
	c.suffix = b.String()
	return &c
}

// WithGroup gives a handler that qualifies later keys by name.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

func writeAttr(b *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, member := range v.Group() {
			writeAttr(b, prefix+a.Key+".", member)
		}
		return
	}
	fmt.Fprintf(b, " %s%s=%s", prefix, a.Key, v)
}

// stderrSink writes to standard error, with times when debugging.
type stderrSink struct{ times bool }

func (s stderrSink) write(e entry) {
	if s.times {
		e.text = e.stamp() + ": " + e.text
	}
	fmt.Fprintln(os.Stderr, e.text)
}

// sinks lists standard error and the log file, if any. front is the process ID
// of the front, for the header.
func (o *Options) sinks(file *os.File, front int) ([]sink, error) {
	list := []sink{stderrSink{times: o.Level >= LevelDebug}}
	if file == nil {
		return list, nil
	}
	f, err := openLogFile(file, o.LogSize, logHeader(o, front))
	if err != nil {
		return list, err
	}
	return append(list, f), nil
}

// newLogger gives the logger of one process, from level on, and the queue behind it.
func newLogger(level slog.Level, start time.Time, sinks []sink) (*slog.Logger, *logQueue) {
	q := newLogQueue(sinks)
	return slog.New(&handler{level: level, start: start, queue: q}), q
}
