package dhcp

import (
	"log/slog"
	"time"
)

// Limits of log messages, so that a guest cannot fill the host's log.
const (
	maxEvents   = 10
	eventPeriod = 10 * time.Second
)

// eventLog reports answers at info level, at most maxEvents per eventPeriod.
type eventLog struct {
	log   *slog.Logger
	now   func() time.Time // tests replace it
	since time.Time        // start of the period that count belongs to
	count int
}

func newEventLog(log *slog.Logger) *eventLog { return &eventLog{log: log, now: time.Now} }

// answered reports what was sent in answer to whom, on two lines.
func (e *eventLog) answered(what, who string) {
	now := e.now()
	if now.Sub(e.since) >= eventPeriod {
		e.since, e.count = now, 0
	}
	if e.count++; e.count > maxEvents {
		return
	}
	e.log.Info(what)
	e.log.Info("    from " + who)
}
