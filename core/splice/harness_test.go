package splice

import (
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// patience is how long, in real time, a test waits for the kernel.
const patience = 5 * time.Second

var loopbacks = []string{"127.0.0.1", "::1"}

// fakeSockets stands for the sockets of a namespace: it makes them here, left of
// them. raw tells whether whole packets may be sent there.
type fakeSockets struct {
	left   int
	raw    bool
	notify func()
}

func (f *fakeSockets) Take(family, typ int) (int, bool) {
	if f.left == 0 {
		return -1, false
	}
	f.left--
	fd, errno := sys.Socket(family, typ, 0)
	return fd, errno == 0
}

func (f *fakeSockets) Raw(family int) int {
	if !f.raw {
		return -1
	}
	fd, errno := sys.Socket(family, syscall.SOCK_RAW, syscall.IPPROTO_RAW)
	if errno != 0 {
		return -1
	}
	return fd
}

func (f *fakeSockets) Notify(n func()) { f.notify = n }

// env is a TCP handler on a loop that the test turns.
type env struct {
	t       testing.TB
	h       *TCP
	lp      *loop.Loop
	sockets *fakeSockets
	ahead   int64 // of the loop's clock
	events  int   // dispatched so far
}

func newEnv(t testing.TB, o Options) *env {
	t.Helper()
	lp, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t: t, lp: lp, sockets: &fakeSockets{left: 1 << 20}}
	e.h = NewTCP(lp, e.sockets, o)
	t.Cleanup(func() {
		e.h.Close()
		lp.Close()
	})
	return e
}

func (e *env) now() int64 { return e.lp.Now() + e.ahead }

// turn does what the engine does, without sleeping.
func (e *env) turn() {
	e.t.Helper()
	events, err := e.lp.Wait(0)
	if err != nil {
		e.t.Fatal(err)
	}
	e.events += len(events)
	for _, ev := range events {
		t := ev.Token
		if t.Kind() != loop.KindSplice {
			e.t.Fatalf("event of kind %d", t.Kind())
		}
		e.h.FromSock(t.Index(), t.Gen(), ev.Bits, e.now())
	}
	if e.h.NextDeadline() <= e.now() {
		e.h.Expire(e.now())
	}
	e.h.RunBacklog(e.now())
}

// until turns the loop until ok, or fails the test: what did not happen.
func (e *env) until(what string, ok func() bool) {
	e.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			e.t.Fatalf("not %s after %v", what, patience)
		}
		e.turn()
	}
}

// quiet turns the loop until nothing has happened for a few turns.
func (e *env) quiet() {
	e.t.Helper()
	for calm := 0; calm < 5; calm++ {
		before := e.events
		e.turn()
		if e.events != before || e.h.Backlog() {
			calm = 0
		}
	}
}

// peer is one end of a connection, a socket of the test itself.
type peer struct {
	t  testing.TB
	fd int
}

func (p peer) write(b []byte) int {
	p.t.Helper()
	n, errno := sys.Send(p.fd, b, sys.MsgNosignal|sys.MsgDontwait)
	if errno != 0 && errno != syscall.EAGAIN {
		p.t.Fatalf("send: %v", errno)
	}
	return max(n, 0)
}

// read gives what has come, up to len(b): 0 and EAGAIN for nothing, 0 and 0 at the end.
func (p peer) read(b []byte) (int, syscall.Errno) {
	n, errno := sys.Recv(p.fd, b, sys.MsgDontwait)
	return max(n, 0), errno
}

func (p peer) shutdown() {
	p.t.Helper()
	if errno := sys.Shutdown(p.fd, sys.ShutWr); errno != 0 {
		p.t.Fatalf("shutdown: %v", errno)
	}
}

func (p peer) reset() {
	p.t.Helper()
	if errno := sys.SetLingerReset(p.fd); errno != 0 {
		p.t.Fatal(errno)
	}
	sys.Close(p.fd)
}

// bound gives a socket of type typ with a port of addr that the kernel chooses.
func bound(t testing.TB, addr string, typ int) (fd int, at netip.AddrPort) {
	t.Helper()
	a := netip.MustParseAddr(addr).As16()
	fd, errno := sys.Socket(sys.Family(a), typ, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	sa := sys.MakeSockAddr(a, 0, 0)
	if errno := sys.Bind(fd, &sa); errno != 0 {
		t.Fatal(errno)
	}
	if errno := sys.LocalAddr(fd, &sa); errno != 0 {
		t.Fatal(errno)
	}
	return fd, sa.Netip()
}

// listen gives a listening socket on addr and its address.
func listen(t testing.TB, addr string) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, at = bound(t, addr, syscall.SOCK_STREAM)
	if errno := sys.Listen(fd, 64); errno != 0 {
		t.Fatal(errno)
	}
	return fd, at
}

// connectedTo gives a socket of type typ that is connected, or begins to be.
func connectedTo(t testing.TB, at netip.AddrPort, typ int) peer {
	t.Helper()
	a := at.Addr().As16()
	fd, errno := sys.Socket(sys.Family(a), typ, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	to := sys.MakeSockAddr(a, at.Port(), 0)
	if errno := sys.Connect(fd, &to); errno != 0 && errno != syscall.EINPROGRESS {
		t.Fatal(errno)
	}
	return peer{t, fd}
}

// accept waits for a connection at l.
func accept(t testing.TB, l int) int {
	t.Helper()
	var from sys.SockAddr
	for end := time.Now().Add(patience); ; {
		fd, errno := sys.Accept(l, &from)
		if errno == 0 {
			return fd
		}
		if errno != syscall.EAGAIN || time.Now().After(end) {
			t.Fatalf("accept: %v", errno)
		}
	}
}

// discardAll closes the connections that wait at l.
func discardAll(l int) {
	var from sys.SockAddr
	for fd, errno := sys.Accept(l, &from); errno == 0; fd, errno = sys.Accept(l, &from) {
		sys.Close(fd)
	}
}

// client makes a connection and hands its accepted half to the handler, which
// carries it to at in pif.
func (e *env) client(pif fwd.Pif, at netip.AddrPort) peer {
	e.t.Helper()
	l, here := listen(e.t, at.Addr().String())
	defer sys.Close(l)
	return e.clientOf(l, here, pif, at)
}

// clientOf is client by way of l, which listens at here.
func (e *env) clientOf(l int, here netip.AddrPort, pif fwd.Pif, at netip.AddrPort) peer {
	e.t.Helper()
	p := connectedTo(e.t, here, syscall.SOCK_STREAM)
	e.h.Open(accept(e.t, l), fwd.Target{Pif: pif, Addr: packet.Addr(at.Addr().As16()), Port: at.Port()}, e.now())
	return p
}

// pair is a connection through the handler, open on both ends.
func (e *env) pair(pif fwd.Pif, addr string) (client, server peer) {
	e.t.Helper()
	l, at := listen(e.t, addr)
	defer sys.Close(l)
	client = e.client(pif, at)
	e.quiet()
	return client, peer{e.t, accept(e.t, l)}
}

// wantRead waits for exactly want at p.
func (e *env) wantRead(p peer, want string) {
	e.t.Helper()
	got := make([]byte, 0, len(want)+1)
	e.until("read "+want, func() bool {
		n, _ := p.read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		return len(got) >= len(want)
	})
	if string(got) != want {
		e.t.Fatalf("read %q, want %q", got, want)
	}
}

// wantEnd waits until reading from p gives errno, 0 for the end of the stream.
func (e *env) wantEnd(p peer, want syscall.Errno) {
	e.t.Helper()
	var b [1]byte
	e.until("ended", func() bool {
		n, errno := p.read(b[:])
		if n > 0 || errno != syscall.EAGAIN && errno != want {
			e.t.Fatalf("read %d bytes, %v, want the end with %v", n, errno, want)
		}
		return errno == want
	})
}

// wantGone checks that the handler has let go of every connection and of its
// descriptors but for what a pool keeps.
func (e *env) wantGone() {
	e.t.Helper()
	e.until("gone", func() bool { return e.h.Len() == 0 })
	if n := len(e.h.pipes.unused); n > keepPipes {
		e.t.Errorf("%d unused pipes kept, want at most %d", n, keepPipes)
	}
	if open := e.h.pipes.opened - len(e.h.pipes.closed); open != len(e.h.pipes.unused) {
		e.t.Errorf("%d pipes are open, of which %d unused", open, len(e.h.pipes.unused))
	}
}

// descriptors counts those of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
