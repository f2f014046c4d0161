package daemon

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// queueLen is how many messages may wait for slow sinks.
	queueLen = 512
	// flushLimit bounds how long a stuck sink (a pipe that nobody reads) can
	// hold up the end of the process.
	flushLimit = time.Second
)

// logQueue hands messages to sinks on a goroutine of its own: writing to a
// pipe, a terminal or a socket can block, and the event loop must not. When the
// queue is full, messages are counted instead.
type logQueue struct {
	entries chan entry
	lost    atomic.Uint64
	sinks   []sink
}

// newLogQueue starts the goroutine; it runs as long as the process, because any
// goroutine may log until the very end.
func newLogQueue(sinks []sink) *logQueue {
	q := &logQueue{entries: make(chan entry, queueLen), sinks: sinks}
	go q.run()
	return q
}

func (q *logQueue) run() {
	for e := range q.entries {
		if e.flushed != nil {
			close(e.flushed)
			continue
		}
		if n := q.lost.Swap(0); n > 0 {
			q.write(entry{level: slog.LevelWarn, since: e.since, text: fmt.Sprintf("%d messages lost", n)})
		}
		q.write(e)
	}
}

func (q *logQueue) write(e entry) {
	for _, s := range q.sinks {
		s.write(e)
	}
}

// put queues e or counts it as lost.
func (q *logQueue) put(e entry) {
	select {
	case q.entries <- e:
	default:
		q.lost.Add(1)
	}
}

// flush waits until everything queued so far is written, but not for long.
func (q *logQueue) flush() {
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	done := make(chan struct{})
	select {
	case q.entries <- entry{flushed: done}:
	case <-limit.C:
		return
	}
	select {
	case <-done:
	case <-limit.C:
	}
}
