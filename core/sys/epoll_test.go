package sys

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newEpoll(t testing.TB) int {
	t.Helper()
	ep, err := EpollCreate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(ep) })
	return ep
}

// pending gives the bits of the one descriptor in ep that is ready; 0: none is.
func pending(t testing.TB, ep int, timeout time.Duration) uint32 {
	t.Helper()
	events := make([]EpollEvent, 2)
	n, errno := EpollWait(ep, events, timeout)
	if errno != 0 || n > 1 {
		t.Fatalf("EpollWait = %d, %v", n, errno)
	}
	if n == 0 {
		return 0
	}
	return events[0].Bits()
}

func TestEpollDataKeepsAll64Bits(t *testing.T) {
	ep := newEpoll(t)
	r, w := pipe(t)
	for _, data := range []uint64{0, 1, 0x80000000, 0xffffffff, 1 << 63, 0x0123456789abcdef, ^uint64(0)} {
		if errno := EpollAdd(ep, r, unix.EPOLLIN, data); errno != 0 {
			t.Fatal(errno)
		}
		if _, errno := Write(w, []byte("x")); errno != 0 {
			t.Fatal(errno)
		}
		events := make([]EpollEvent, 1)
		if n, errno := EpollWait(ep, events, 0); n != 1 || errno != 0 || events[0].Data() != data || events[0].Bits() != unix.EPOLLIN {
			t.Errorf("%#x: %d events, %v, data %#x, bits %#x", data, n, errno, events[0].Data(), events[0].Bits())
		}
		if errno := EpollDel(ep, r); errno != 0 {
			t.Fatal(errno)
		}
	}
}

func TestEpollErrors(t *testing.T) {
	ep := newEpoll(t)
	r, _ := pipe(t)
	if errno := EpollMod(ep, r, unix.EPOLLIN, 0); errno != unix.ENOENT {
		t.Errorf("Mod of what was not added: %v, want ENOENT", errno)
	}
	if errno := EpollAdd(ep, -1, unix.EPOLLIN, 0); errno != unix.EBADF {
		t.Errorf("Add of no descriptor: %v, want EBADF", errno)
	}
	if _, errno := EpollWait(-1, make([]EpollEvent, 1), 0); errno != unix.EBADF {
		t.Errorf("Wait on no instance: %v, want EBADF", errno)
	}
}

// TestEpollWaitTimeout: not before its time, and with less than a millisecond too.
func TestEpollWaitTimeout(t *testing.T) {
	ep := newEpoll(t)
	for _, timeout := range []time.Duration{0, 300 * time.Microsecond, 5 * time.Millisecond} {
		start := time.Now()
		if bits := pending(t, ep, timeout); bits != 0 || time.Since(start) < timeout {
			t.Errorf("timeout %v: bits %#x after %v", timeout, bits, time.Since(start))
		}
	}
}

func TestEventfd(t *testing.T) {
	fd, err := Eventfd()
	if err != nil {
		t.Fatal(err)
	}
	defer Close(fd)
	ep := newEpoll(t)
	if errno := EpollAdd(ep, fd, unix.EPOLLIN, 0); errno != 0 {
		t.Fatal(errno)
	}
	EventfdDrain(fd) // of nothing: does not block
	for _, kicks := range []int{1, 3} {
		for range kicks {
			EventfdKick(fd)
		}
		if bits := pending(t, ep, 0); bits != unix.EPOLLIN {
			t.Errorf("after %d kicks: bits %#x, want readable", kicks, bits)
		}
		EventfdDrain(fd)
		if bits := pending(t, ep, 0); bits != 0 {
			t.Errorf("after one drain of %d kicks: bits %#x, want none", kicks, bits)
		}
	}
}

// TestModRearms: kernel assumption. EPOLL_CTL_MOD of an edge-triggered descriptor
// reports again what is pending.
func TestModRearms(t *testing.T) {
	ep := newEpoll(t)
	a, b := tcpPair(t, loopback4)
	const bits = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	if errno := EpollAdd(ep, b, bits, 0); errno != 0 {
		t.Fatal(errno)
	}
	if _, errno := Send(a, []byte("x"), MsgNosignal); errno != 0 {
		t.Fatal(errno)
	}
	if got := pending(t, ep, waitLimit); got != unix.EPOLLIN {
		t.Errorf("data: bits %#x", got)
	}
	if got := pending(t, ep, 0); got != 0 {
		t.Errorf("same data: bits %#x, want none", got)
	}
	if errno := EpollMod(ep, b, bits, 0); errno != 0 {
		t.Fatal(errno)
	}
	if got := pending(t, ep, 0); got != unix.EPOLLIN {
		t.Errorf("after Mod: bits %#x, want readable again", got)
	}
}

// TestEdgeOnDrain: kernel assumption. After a short write, and only then, an
// edge-triggered socket reports room once the peer has read.
func TestEdgeOnDrain(t *testing.T) {
	ep := newEpoll(t)
	a, b := tcpPair(t, loopback4)
	if errno := EpollAdd(ep, a, unix.EPOLLOUT|unix.EPOLLET, 0); errno != 0 {
		t.Fatal(errno)
	}
	if got := pending(t, ep, 0); got != unix.EPOLLOUT {
		t.Errorf("new connection: bits %#x, want writable", got)
	}
	if _, errno := Send(a, []byte("x"), MsgNosignal|MsgDontwait); errno != 0 {
		t.Fatal(errno)
	}
	receive(t, b, 1)
	if got := pending(t, ep, 0); got != 0 {
		t.Errorf("after a write that fitted: bits %#x, want none", got)
	}
	sent := fill(t, a)
	if got := pending(t, ep, 0); got != 0 {
		t.Errorf("full: bits %#x, want none", got)
	}
	receive(t, b, sent)
	if got := pending(t, ep, waitLimit); got&unix.EPOLLOUT == 0 {
		t.Errorf("drained: bits %#x, want writable", got)
	}
}
