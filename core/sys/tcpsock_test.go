package sys

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// waitLimit is when a test gives up on the kernel.
const waitLimit = 5 * time.Second

// waitReady returns when fd is ready for bits.
func waitReady(t testing.TB, fd int, bits uint32) {
	t.Helper()
	ep, err := EpollCreate()
	if err != nil {
		t.Fatal(err)
	}
	defer Close(ep)
	if errno := EpollAdd(ep, fd, bits, 0); errno != 0 {
		t.Fatal(errno)
	}
	if pending(t, ep, waitLimit) == 0 {
		t.Fatalf("descriptor %d is not ready for %#x", fd, bits)
	}
}

// listener is a listening socket on addr.
func listener(t testing.TB, addr [16]byte) (fd int, local SockAddr) {
	t.Helper()
	fd, local = boundSocket(t, addr, unix.SOCK_STREAM)
	if errno := Listen(fd, 8); errno != 0 {
		t.Fatal(errno)
	}
	return fd, local
}

// tcpPair is a TCP connection over the loopback, closed with the test.
func tcpPair(t testing.TB, addr [16]byte) (a, b int) {
	t.Helper()
	l, local := listener(t, addr)
	a, errno := Socket(Family(addr), unix.SOCK_STREAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { Close(a) })
	if errno := Connect(a, &local); errno != 0 && errno != unix.EINPROGRESS {
		t.Fatal(errno)
	}
	waitReady(t, l, unix.EPOLLIN)
	var peer, want SockAddr
	b, errno = Accept(l, &peer)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { Close(b) })
	if errno := LocalAddr(a, &want); errno != 0 || peer.Netip() != want.Netip() {
		t.Errorf("accepted %v, want %v", peer.Netip(), want.Netip())
	}
	waitReady(t, a, unix.EPOLLOUT)
	return a, b
}

// receive reads exactly n bytes from fd.
func receive(t testing.TB, fd, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	for got := 0; got < n; {
		m, errno := Recv(fd, b[got:], MsgDontwait)
		switch {
		case errno == unix.EAGAIN:
			waitReady(t, fd, unix.EPOLLIN)
		case errno != 0 || m == 0:
			t.Fatalf("receive: %d bytes, %v, after %d of %d", m, errno, got, n)
		default:
			got += m
		}
	}
	return b
}

// send sends all of s.
func send(t testing.TB, fd int, s string) {
	t.Helper()
	if n, errno := Send(fd, []byte(s), MsgNosignal|MsgDontwait); n != len(s) || errno != 0 {
		t.Fatalf("send %q: %d, %v", s, n, errno)
	}
}

// fill sends until the socket takes no more and returns how much it took.
func fill(t testing.TB, fd int) int {
	t.Helper()
	b := make([]byte, 1<<16)
	for sent := 0; ; {
		n, errno := Send(fd, b, MsgNosignal|MsgDontwait)
		if errno == unix.EAGAIN {
			return sent
		}
		if errno != 0 {
			t.Fatal(errno)
		}
		sent += n
	}
}

// onBoth runs f with a connection over IPv4 and over IPv6.
func onBoth(t *testing.T, f func(t *testing.T, a, b int)) {
	t.Helper()
	for name, addr := range map[string][16]byte{"IPv4": loopback4, "IPv6": loopback6} {
		t.Run(name, func(t *testing.T) {
			a, b := tcpPair(t, addr)
			f(t, a, b)
		})
	}
}

func needPeekOff(t *testing.T) {
	t.Helper()
	if !HavePeekOff() {
		netnstest.Lacks(t, "SO_PEEK_OFF on TCP needs Linux 6.9")
	}
}

// peek peeks at most n bytes; "" stands for none.
func peek(t *testing.T, fd, n int) string {
	t.Helper()
	b := make([]byte, n)
	got, errno := Recv(fd, b, MsgPeek|MsgDontwait)
	if errno == unix.EAGAIN {
		return ""
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	return string(b[:got])
}

// TestPeekOffset: kernel assumption. The offset of SO_PEEK_OFF goes on with each
// peek, back with each discard, and can be set for another look.
func TestPeekOffset(t *testing.T) {
	needPeekOff(t)
	onBoth(t, func(t *testing.T, a, b int) {
		if errno := SetPeekOff(b, 0); errno != 0 {
			t.Fatal(errno)
		}
		send(t, a, "0123456789")
		waitReady(t, b, unix.EPOLLIN)
		discard := func(n int) func() string {
			return func() string {
				if got, errno := Discard(b, n); got != n || errno != 0 {
					t.Errorf("Discard(%d) = %d, %v", n, got, errno)
				}
				return ""
			}
		}
		for i, step := range []struct {
			do   func() string
			want string
		}{
			{func() string { return peek(t, b, 3) }, "012"},
			{func() string { return peek(t, b, 3) }, "345"},
			{discard(4), ""}, // offset 6 becomes 2
			{func() string { return peek(t, b, 3) }, "678"},
			{func() string { return peek(t, b, 3) }, "9"},
			{func() string { return peek(t, b, 3) }, ""},
			{func() string { SetPeekOff(b, 0); return peek(t, b, 3) }, "456"},
			{func() string { SetPeekOff(b, 4); return peek(t, b, 3) }, "89"},
			{discard(6), ""},
			{func() string { SetPeekOff(b, 0); return peek(t, b, 3) }, ""},
		} {
			if got := step.do(); got != step.want {
				t.Errorf("step %d: got %q, want %q", i, got, step.want)
			}
		}
	})
}

// TestPeekAtEnd: kernel assumption. A peek behind the last byte gives EAGAIN
// while the connection is open, and 0 bytes once the peer's FIN is there.
func TestPeekAtEnd(t *testing.T) {
	needPeekOff(t)
	onBoth(t, func(t *testing.T, a, b int) {
		if errno := SetPeekOff(b, 0); errno != 0 {
			t.Fatal(errno)
		}
		send(t, a, "end")
		waitReady(t, b, unix.EPOLLIN)
		if got := peek(t, b, 10); got != "end" {
			t.Errorf("got %q", got)
		}
		buf := make([]byte, 10)
		if _, errno := Recv(b, buf, MsgPeek|MsgDontwait); errno != unix.EAGAIN {
			t.Errorf("open: %v, want EAGAIN", errno)
		}
		if errno := Shutdown(a, ShutWr); errno != 0 {
			t.Fatal(errno)
		}
		waitReady(t, b, unix.EPOLLRDHUP)
		if n, errno := Recv(b, buf, MsgPeek|MsgDontwait); n != 0 || errno != 0 {
			t.Errorf("half closed: %d, %v, want the end of the stream", n, errno)
		}
	})
}

// TestDiscard: kernel assumption. MSG_TRUNC takes bytes off without a buffer, at
// most what is there.
func TestDiscard(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b int) {
		if _, errno := Discard(b, 1); errno != unix.EAGAIN {
			t.Errorf("empty: %v, want EAGAIN", errno)
		}
		send(t, a, "0123456789")
		waitReady(t, b, unix.EPOLLIN)
		if n, errno := Discard(b, 4); n != 4 || errno != 0 {
			t.Errorf("Discard(4) = %d, %v", n, errno)
		}
		if got := receive(t, b, 2); !bytes.Equal(got, []byte("45")) {
			t.Errorf("behind it: %q, want 45", got)
		}
		if n, errno := Discard(b, 1<<20); n != 4 || errno != 0 {
			t.Errorf("Discard of more than there is = %d, %v, want 4", n, errno)
		}
	})
}

// TestMemInfo: kernel assumption. SO_MEMINFO has the buffer's limit and what is
// queued, which is what tells the room left.
func TestMemInfo(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b int) {
		var before, full MemInfo
		if errno := SocketMemInfo(a, &before); errno != 0 {
			t.Fatal(errno)
		}
		limit, errno := GetInt(a, unix.SOL_SOCKET, unix.SO_SNDBUF)
		if errno != 0 || uint32(limit) != before.Sndbuf || before.WmemQueued != 0 || before.RmemAlloc != 0 {
			t.Errorf("new socket: %+v, want a send buffer of %d, empty (%v)", before, limit, errno)
		}
		sent := fill(t, a)
		if errno := SocketMemInfo(a, &full); errno != 0 {
			t.Fatal(errno)
		}
		if full.WmemQueued < full.Sndbuf/2 || full.Sndbuf < before.Sndbuf {
			t.Errorf("full: %+v, want it queued", full)
		}
		var received MemInfo
		if errno := SocketMemInfo(b, &received); errno != 0 || received.RmemAlloc == 0 {
			t.Errorf("receiver: %+v, %v, want memory in use", received, errno)
		}
		receive(t, b, sent)
		waitReady(t, a, unix.EPOLLOUT)
	})
}

// TestLingerReset: kernel assumption. Close with linger 0 sends RST.
func TestLingerReset(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b int) {
		dup, err := unix.Dup(a) // closing the last descriptor matters, not a's number
		if err != nil {
			t.Fatal(err)
		}
		if errno := SetLingerReset(dup); errno != 0 {
			t.Fatal(errno)
		}
		null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer Close(null)
		if err := unix.Dup3(null, a, unix.O_CLOEXEC); err != nil { // leaves a to the clean-up
			t.Fatal(err)
		}
		Close(dup)
		waitReady(t, b, unix.EPOLLIN)
		if _, errno := Recv(b, make([]byte, 1), MsgDontwait); errno != unix.ECONNRESET {
			t.Errorf("peer: %v, want ECONNRESET", errno)
		}
	})
}

// TestHalfClose: kernel assumption. After shutdown of the writing half the peer
// sees the end of the stream and can still send.
func TestHalfClose(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b int) {
		if errno := Shutdown(a, ShutWr); errno != 0 {
			t.Fatal(errno)
		}
		waitReady(t, b, unix.EPOLLRDHUP)
		if n, errno := Recv(b, make([]byte, 1), MsgDontwait); n != 0 || errno != 0 {
			t.Errorf("peer: %d, %v, want the end of the stream", n, errno)
		}
		send(t, b, "late")
		if got := receive(t, a, 4); string(got) != "late" {
			t.Errorf("got %q", got)
		}
		if _, errno := Send(a, []byte("x"), MsgNosignal); errno != unix.EPIPE {
			t.Errorf("send after shutdown: %v, want EPIPE", errno)
		}
	})
}

// TestRefusedConnect: the error of a connect that failed is told once.
func TestRefusedConnect(t *testing.T) {
	l, local := listener(t, loopback4)
	fd, errno := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer Close(fd)
	// The port is ours and bound, but does not listen any more.
	if errno := Shutdown(l, unix.SHUT_RD); errno != 0 {
		t.Fatal(errno)
	}
	if errno := Connect(fd, &local); errno != unix.EINPROGRESS && errno != unix.ECONNREFUSED {
		t.Fatalf("Connect: %v", errno)
	} else if errno == unix.EINPROGRESS {
		waitReady(t, fd, unix.EPOLLOUT)
		if got := SocketError(fd); got != unix.ECONNREFUSED {
			t.Errorf("SocketError = %v, want ECONNREFUSED", got)
		}
	}
	if got := SocketError(fd); got != 0 {
		t.Errorf("SocketError again = %v, want none", got)
	}
	if got := SocketError(-1); got != unix.EBADF {
		t.Errorf("SocketError of no socket = %v, want EBADF", got)
	}
}

func TestSocketOptions(t *testing.T) {
	fd, errno := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer Close(fd)
	if errno := SetInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); errno != 0 {
		t.Fatal(errno)
	}
	if v, errno := GetInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 1 || errno != 0 {
		t.Errorf("TCP_NODELAY = %d, %v, want 1", v, errno)
	}
	if errno := setString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"); errno != 0 {
		t.Errorf("set congestion control: %v", errno)
	}
	if errno := SetInt(fd, unix.IPPROTO_TCP, 9999, 1); errno != unix.ENOPROTOOPT {
		t.Errorf("unknown option: %v, want ENOPROTOOPT", errno)
	}
}

// TestDataPathAllocatesNothing covers the calls that are made per batch or segment.
func TestDataPathAllocatesNothing(t *testing.T) {
	a, b := tcpPair(t, loopback4)
	ep := newEpoll(t)
	if errno := EpollAdd(ep, b, unix.EPOLLIN, 1); errno != 0 {
		t.Fatal(errno)
	}
	v, buf, events := NewIovecs(4), make([]byte, 64), make([]EpollEvent, 4)
	payload, rest := []byte("payload"), make([]byte, 64)
	var m MemInfo
	if n := testing.AllocsPerRun(100, func() {
		v.Reset()
		v.Add(payload)
		v.Add(payload)
		_, _ = SendIovecs(a, &v, MsgNosignal|MsgDontwait)
		v.Tail(3, rest)
		_ = SocketMemInfo(a, &m)
		_, _ = EpollWait(ep, events, waitLimit)
		_, _ = Recv(b, buf, MsgPeek|MsgDontwait)
		_, _ = Discard(b, v.Len())
		_ = SocketError(a)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Data that was sent with MSG_MORE leaves in one segment with the FIN.
func TestShutdownCarriesData(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b int) {
		before, begin := segmentsSent(t, a), time.Now()
		if n, errno := Send(a, []byte("last"), MsgNosignal|MsgDontwait|MsgMore); n != 4 || errno != 0 {
			t.Fatalf("send: %d, %v", n, errno)
		}
		if got := peek(t, b, 4); got != "" {
			t.Errorf("%q came before the FIN", got)
		}
		if errno := Shutdown(a, ShutWr); errno != 0 {
			t.Fatal(errno)
		}
		if got := receive(t, b, 4); string(got) != "last" {
			t.Errorf("got %q", got)
		}
		took := time.Since(begin)
		// Longer than a moment the kernel does not wait.
		if n := segmentsSent(t, a) - before; n != 1 && took < 100*time.Millisecond {
			t.Errorf("%d segments, want 1", n)
		}
	})
}

func segmentsSent(t *testing.T, fd int) uint32 {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	return info.Segs_out
}
