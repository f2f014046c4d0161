package ctlsock

import (
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A client is waited for until others behind it have looked so often whether it is done,
// a tick apart, or for long. On a busy machine looks come late, as do the words of a client
// that sends them at once.
const (
	looks = 10
	tick  = 10 * time.Millisecond
	long  = time.Second
)

// Waiting are the connections whose client is waited for: it has not said yet what it
// wants, or does not read the answer. There is only room for some: when it is used up,
// the one that waits longest gives way to the next, so that silent and slow clients do
// not keep others from being heard. Any goroutine may call its methods.
type Waiting struct {
	places chan struct{} // as many as are taken

	mu     sync.Mutex
	conns  []waiting // the oldest first
	looks  int       // so far
	looked time.Time // last
}

type waiting struct {
	conn    *net.UnixConn
	since   time.Time
	looks   int // before it came
	giveWay func() error
}

// NewWaiting makes an empty list for so many connections.
func NewWaiting(places int) *Waiting { return &Waiting{places: make(chan struct{}, places)} }

// Enter waits for a place for a connection that is to be read from, but not for longer
// than the oldest one has been promised to be heard. That one gets to its end then: what
// its client has sent can still be read, and more it cannot send, so that no request gets
// lost on the way.
func (w *Waiting) Enter(conn *net.UnixConn) { w.enter(conn, conn.CloseRead) }

func (w *Waiting) enter(conn *net.UnixConn, giveWay func() error) {
	for {
		select {
		case w.places <- struct{}{}:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.conns = append(w.conns, waiting{conn, time.Now(), w.looks, giveWay})
			return
		case <-time.After(w.endOldest()):
		}
	}
}

// endOldest has the oldest connection give way if that is due, and tells when to look
// again.
func (w *Waiting) endOldest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	const again = time.Millisecond // or others may have been faster
	if len(w.places) < cap(w.places) || len(w.conns) == 0 {
		return again
	}
	if time.Since(w.looked) >= tick {
		w.looks, w.looked = w.looks+1, time.Now()
	}
	oldest := &w.conns[0]
	if w.looks-oldest.looks <= looks && time.Since(oldest.since) < long {
		return tick
	}
	_ = oldest.giveWay()
	w.remove(0)
	return again
}

// Leave lets go of a connection, if it has not given way before.
func (w *Waiting) Leave(conn *net.UnixConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.conns, func(c waiting) bool { return c.conn == conn }); i >= 0 {
		w.remove(i)
	}
}

// remove forgets connection i, whose place is free then.
func (w *Waiting) remove(i int) {
	w.conns = slices.Delete(w.conns, i, i+1)
	<-w.places
}

// Writer sends to a connection that is none of w. It becomes one while its client does not
// read what the socket has no room for, and is closed when it has to give way.
func (w *Waiting) Writer(conn *net.UnixConn) io.Writer { return writer{w, conn} }

type writer struct {
	waiting *Waiting
	conn    *net.UnixConn
}

// Write implements io.Writer.
func (w writer) Write(b []byte) (n int, err error) {
	if n = writeSome(w.conn, b); n == len(b) {
		return n, nil
	}
	w.waiting.enter(w.conn, w.conn.Close)
	defer w.waiting.Leave(w.conn)
	rest, err := w.conn.Write(b[n:])
	return n + rest, err
}

// writeSome sends what the socket has room for. An error is none yet: it comes again.
func writeSome(conn *net.UnixConn, b []byte) (n int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	return max(n, 0)
}
