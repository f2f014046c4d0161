package ctlsock

import (
	"net"
	"slices"
	"sync"
	"time"
)

// grace is how long a client is heard whoever comes behind it: enough for one that
// sends its words at once, on a busy machine.
const grace = 100 * time.Millisecond

// Waiting are the connections whose client has not said yet what it wants. There is only
// room for some: when it is used up, the one that waits longest gives way to the next,
// so that silent and slow clients do not keep others from being heard. Any goroutine may
// call its methods.
type Waiting struct {
	places chan struct{} // as many as are taken

	mu    sync.Mutex
	conns []waiting // the oldest first
}

type waiting struct {
	*net.UnixConn
	since time.Time
}

// NewWaiting makes an empty list for so many connections.
func NewWaiting(places int) *Waiting { return &Waiting{places: make(chan struct{}, places)} }

// Enter waits for a place for a connection, but not for longer than the oldest one has
// been promised to be heard: that one is closed then.
func (w *Waiting) Enter(conn *net.UnixConn) {
	for {
		select {
		case w.places <- struct{}{}:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.conns = append(w.conns, waiting{conn, time.Now()})
			return
		case <-time.After(w.closeOldest()):
		}
	}
}

// closeOldest closes the oldest connection if that is due, and tells when to look again.
func (w *Waiting) closeOldest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	const again = time.Millisecond // or others may have been faster
	if len(w.places) < cap(w.places) || len(w.conns) == 0 {
		return again
	}
	if left := grace - time.Since(w.conns[0].since); left > 0 {
		return left
	}
	_ = w.conns[0].Close()
	w.remove(0)
	return again
}

// Leave lets go of a connection, if it was not closed before.
func (w *Waiting) Leave(conn *net.UnixConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.conns, func(c waiting) bool { return c.UnixConn == conn }); i >= 0 {
		w.remove(i)
	}
}

// remove forgets connection i, whose place is free then.
func (w *Waiting) remove(i int) {
	w.conns = slices.Delete(w.conns, i, i+1)
	<-w.places
}
