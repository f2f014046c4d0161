package ctlsock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// grace is how long a client is waited for at least while others look.
const grace = looks * tick

// pair is a connection, and its client's end.
func pair(t *testing.T) (conn, client *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return end(t, fds[0]), end(t, fds[1])
}

func end(t *testing.T, fd int) *net.UnixConn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "end")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}

// open tells whether conn can still be read from.
func open(t *testing.T, conn *net.UnixConn) bool {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var look error
	err = raw.Read(func(fd uintptr) bool {
		_, _, look = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err == nil && errors.Is(look, syscall.EAGAIN)
}

func TestWaiting(t *testing.T) {
	w := NewWaiting(2)
	var a, b, c, d *net.UnixConn
	for _, conn := range []**net.UnixConn{&a, &b, &c, &d} {
		*conn, _ = pair(t)
	}
	w.Enter(a)
	begin := time.Now()
	w.Enter(b)
	w.Leave(a)
	w.Enter(c) // there is room
	if !open(t, a) || !open(t, b) || !open(t, c) {
		t.Error("ended one without need")
	}
	w.Enter(d)
	if waited := time.Since(begin); waited < grace {
		t.Errorf("took the place of another after %v", waited)
	}
	if !open(t, a) || open(t, b) || !open(t, c) || !open(t, d) {
		t.Error("did not end the oldest, and only that")
	}
	w.Leave(b) // which is not there any more
	w.Leave(c)
	w.Leave(d)
	empty(t, w)
}

// One that was silent for long gives way at once.
func TestWaitingForLong(t *testing.T) {
	w := NewWaiting(1)
	a, _ := pair(t)
	b, _ := pair(t)
	w.Enter(a)
	w.conns[0].since = time.Now().Add(-long)
	w.Enter(b)
	if w.looks != 1 || open(t, a) {
		t.Errorf("%d looks, open %v", w.looks, open(t, a))
	}
}

// empty checks that nobody is waited for.
func empty(t *testing.T, w *Waiting) {
	t.Helper()
	if len(w.conns) != 0 || len(w.places) != 0 {
		t.Errorf("%d left on %d places", len(w.conns), len(w.places))
	}
}

// A place that is given up is taken at once.
func TestWaitingForAPlace(t *testing.T) {
	w := NewWaiting(1)
	a, _ := pair(t)
	b, _ := pair(t)
	w.Enter(a)
	time.AfterFunc(grace/10, func() { w.Leave(a) })
	w.Enter(b)
	if !open(t, a) {
		t.Error("ended the one that was about to leave")
	}
}

// What a client has sent before it gives way is read, and answered.
func TestLastWords(t *testing.T) {
	w := NewWaiting(1)
	a, client := pair(t)
	w.Enter(a)
	if _, err := io.WriteString(client, "request"); err != nil {
		t.Fatal(err)
	}
	b, _ := pair(t)
	w.Enter(b) // a gives way before it is read
	if _, err := io.WriteString(client, "more"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("sends more: %v, want %v", err, syscall.EPIPE)
	}
	if got, err := io.ReadAll(a); err != nil || string(got) != "request" {
		t.Errorf("read %q, %v, want the request", got, err)
	}
	if _, err := io.WriteString(w.Writer(a), "answer"); err != nil {
		t.Error(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "answer" {
		t.Errorf("answer %q, %v", got, err)
	}
}

// large is more than a socket has room for.
func large() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 1<<16) }

// What the socket has room for waits for nobody; one whose client does not read gives way.
func TestWriter(t *testing.T) {
	w := NewWaiting(1)
	silent, _ := pair(t)
	w.Enter(silent)
	a, _ := pair(t)
	if _, err := io.WriteString(w.Writer(a), "short"); err != nil {
		t.Error(err)
	}
	if !open(t, silent) {
		t.Error("a short answer took the place of another")
	}
	w.Leave(silent)
	entered := make(chan struct{})
	go func() {
		defer close(entered)
		for len(w.places) == 0 { // until the writer waits
			time.Sleep(time.Millisecond)
		}
		w.Enter(silent)
	}()
	begin := time.Now()
	n, err := w.Writer(a).Write(large())
	if d := time.Since(begin); !errors.Is(err, net.ErrClosed) || n == 0 || n >= len(large()) || d < grace {
		t.Errorf("sent %d, %v after %v, want some until it is closed", n, err, d)
	}
	<-entered
	w.Leave(silent)
	empty(t, w)
}

// A long answer comes whole, and in order, to a client that reads it.
func TestLongAnswer(t *testing.T) {
	w := NewWaiting(1)
	conn, client := pair(t)
	got := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(client)
		got <- b
	}()
	n, err := w.Writer(conn).Write(large())
	conn.Close()
	if err != nil || n != len(large()) || !bytes.Equal(<-got, large()) {
		t.Errorf("sent %d of %d, %v", n, len(large()), err)
	}
	empty(t, w)
}

// More clients than are served that read nothing of a long answer do not delay the next.
func TestServeClientsThatDoNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctl")
	f, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewListener(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 10 * time.Second // of a client, as servers set one
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		l.Serve(ctx, slog.New(slog.DiscardHandler), func(conn *net.UnixConn, _ int) {
			if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
				t.Error(err)
			}
			_, _ = l.Waiting.Writer(conn).Write(large())
		})
	})
	defer group.Wait()
	defer cancel()
	begin := time.Now()
	var last net.Conn
	for range MaxClients + 8 {
		if last, err = net.Dial("unix", path); err != nil {
			t.Fatal(err)
		}
		defer last.Close()
	}
	if _, err := io.ReadFull(last, make([]byte, len(large()))); err != nil || time.Since(begin) > limit/2 {
		t.Errorf("served after %v, %v", time.Since(begin), err)
	}
}
