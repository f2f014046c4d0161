package engine

import "time"

const (
	// drainLimit bounds how long Stop waits for what guests have sent.
	drainLimit = int64(time.Second)
	// drainStep is how often that is looked at.
	drainStep = int64(5 * time.Millisecond)
)

// drain is the end of a run: what the guest has sent on its connections, and what
// its kernel still holds of it, gets a moment to reach the host's sockets.
type drain struct {
	until int64 // when the run ends at the latest; 0: not asked to end
	heard bool  // the tap had frames in this turn
}

// Wake has the loop do a turn: a device that collects frames got some from elsewhere.
// Any goroutine may call it.
func (e *Engine) Wake() { e.loop.Post(func() {}) }

// Stop ends Run as soon as nothing is under way from the guest any more, or after a
// second; called again, at once. Any goroutine may call it.
func (e *Engine) Stop() { e.loop.Post(e.stop) }

func (e *Engine) stop() {
	if e.drain.until != 0 {
		e.drain.until = e.loop.Now()
		return
	}
	e.drain = drain{until: e.loop.Now() + drainLimit, heard: true}
	e.tcp.CloseListeners() // a successor may want the ports already
}

// finished tells whether the run is over.
func (e *Engine) finished() bool {
	d, now := &e.drain, e.loop.Now()
	if d.until == 0 {
		return false
	}
	return now >= d.until || !d.heard && !e.tcp.Receiving(now) && !e.splice.Busy()
}

// deadline is when an ending run has to be looked at again.
func (d *drain) deadline(now int64) int64 {
	if d.heard {
		return 0
	}
	return min(d.until, now+drainStep)
}
