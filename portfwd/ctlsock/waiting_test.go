package ctlsock

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair is a connection to nobody in particular.
func pair(t *testing.T) *net.UnixConn {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	far := os.NewFile(uintptr(fds[1]), "far")
	t.Cleanup(func() { far.Close() })
	near := os.NewFile(uintptr(fds[0]), "near")
	defer near.Close()
	conn, err := net.FileConn(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}

func TestWaiting(t *testing.T) {
	w := NewWaiting(2)
	a, b, c, d := pair(t), pair(t), pair(t), pair(t)
	open := func(conn *net.UnixConn) bool { return conn.SetDeadline(time.Time{}) == nil }
	w.Enter(a)
	begin := time.Now()
	w.Enter(b)
	w.Leave(a)
	w.Enter(c) // there is room
	if !open(a) || !open(b) || !open(c) {
		t.Error("closed one without need")
	}
	w.Enter(d)
	if waited := time.Since(begin); waited < grace {
		t.Errorf("took the place of another after %v", waited)
	}
	if !open(a) || open(b) || !open(c) || !open(d) {
		t.Error("did not close the oldest, and only that")
	}
	w.Leave(b) // which is not there any more
	w.Leave(c)
	w.Leave(d)
	if len(w.conns) != 0 || len(w.places) != 0 {
		t.Errorf("%d left on %d places", len(w.conns), len(w.places))
	}
}

// A place that is given up is taken at once.
func TestWaitingForAPlace(t *testing.T) {
	w := NewWaiting(1)
	a, b := pair(t), pair(t)
	w.Enter(a)
	time.AfterFunc(grace/10, func() { w.Leave(a) })
	w.Enter(b)
	if a.SetDeadline(time.Time{}) != nil {
		t.Error("closed the one that was about to leave")
	}
}
