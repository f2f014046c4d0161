package netns

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

var socketKinds = []struct{ family, typ int }{
	{syscall.AF_INET, syscall.SOCK_STREAM},
	{syscall.AF_INET6, syscall.SOCK_STREAM},
	{syscall.AF_INET, syscall.SOCK_DGRAM},
	{syscall.AF_INET6, syscall.SOCK_DGRAM},
}

func TestKindsHaveAnInverse(t *testing.T) {
	for i, k := range socketKinds {
		if got := kindOf(k.family, k.typ); got != i {
			t.Errorf("kindOf(%d, %d) = %d, want %d", k.family, k.typ, got, i)
		}
		if family, typ := kindAt(i); family != k.family || typ != k.typ {
			t.Errorf("kindAt(%d) = %d, %d, want %d, %d", i, family, typ, k.family, k.typ)
		}
	}
}

// stocked starts a stock in a new namespace, and gives what is sent at each
// notification.
func stocked(t *testing.T) (s *Sockets, notified chan struct{}) {
	t.Helper()
	c, _ := holder(t)
	ns, err := Open(nsOf(c))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	thread, err := NewThread(ns)
	if err != nil {
		t.Fatal(err)
	}
	s = NewSockets(thread)
	notified = make(chan struct{}, 100)
	s.Notify(func() { notified <- struct{}{} })
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { s.Run(stop); close(stopped) }()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		thread.Close()
	})
	return s, notified
}

// take waits for a socket.
func take(t *testing.T, s *Sockets, notified chan struct{}, family, typ int) int {
	t.Helper()
	for {
		if fd, ok := s.Take(family, typ); ok {
			return fd
		}
		select {
		case <-notified:
		case <-time.After(5 * time.Second):
			t.Fatal("no notification after the stock was empty")
		}
	}
}

// TestSocketsLiveInTheNamespace: its loopback is down, so nothing can be reached
// there, not even what listens on ours.
func TestSocketsLiveInTheNamespace(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		s, notified := stocked(t)
		for _, k := range socketKinds {
			fd := take(t, s, notified, k.family, k.typ)
			var st syscall.Stat_t
			if err := syscall.Fstat(fd, &st); err != nil {
				t.Fatal(err)
			}
			if typ, errno := sys.GetInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); errno != 0 || typ != k.typ {
				t.Errorf("type %d (%v), want %d", typ, errno, k.typ)
			}
			lo := [16]byte{15: 1}
			if k.family == syscall.AF_INET {
				lo = [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
			}
			to := sys.MakeSockAddr(lo, 9, 0)
			if errno := sys.Connect(fd, &to); errno != syscall.ENETUNREACH && errno != syscall.EADDRNOTAVAIL {
				t.Errorf("connect: %v, want a namespace without addresses", errno)
			}
			sys.Close(fd)
		}
	})
}

// TestRaw: packets are sent in the namespace, whose loopback is down.
func TestRaw(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		s, _ := stocked(t)
		fd := s.Raw(syscall.AF_INET)
		if fd < 0 {
			t.Fatal("no raw socket")
		}
		defer sys.Close(fd)
		err := syscall.Sendto(fd, make([]byte, 20), 0, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		if !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("send: %v, want a namespace without addresses", err)
		}
	})
}

// TestSocketsAreRestocked takes far more than the stock without a break.
func TestSocketsAreRestocked(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		s, notified := stocked(t)
		seen := map[int]bool{}
		for range 5 * stock {
			fd := take(t, s, notified, syscall.AF_INET, syscall.SOCK_STREAM)
			if seen[fd] {
				t.Fatalf("descriptor %d twice", fd)
			}
			seen[fd] = true
		}
		for fd := range seen {
			sys.Close(fd)
		}
	})
}

// TestSocketsWhenDescriptorsRunOut: whoever waits is told when there are some again.
func TestSocketsWhenDescriptorsRunOut(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		s, notified := stocked(t)
		sys.Close(take(t, s, notified, syscall.AF_INET, syscall.SOCK_STREAM))
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(len(list)), Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		for fd, ok := s.Take(syscall.AF_INET, syscall.SOCK_STREAM); ok; fd, ok = s.Take(syscall.AF_INET, syscall.SOCK_STREAM) {
			defer sys.Close(fd)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		sys.Close(take(t, s, notified, syscall.AF_INET, syscall.SOCK_STREAM))
	})
}

func TestTakeDoesNotAllocate(t *testing.T) {
	s := NewSockets(nil)
	s.kinds[0] <- 7
	if n := testing.AllocsPerRun(100, func() {
		fd, ok := s.Take(syscall.AF_INET, syscall.SOCK_STREAM)
		if !ok || fd != 7 {
			panic(fmt.Sprint("took ", fd))
		}
		s.kinds[0] <- fd
		if _, ok := s.Take(syscall.AF_INET6, syscall.SOCK_STREAM); ok {
			panic("a socket from an empty stock")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestTakeOfAnUnknownKind(t *testing.T) {
	s := NewSockets(nil)
	s.lacking[kindOf(syscall.AF_INET6, syscall.SOCK_DGRAM)].Store(true)
	if fd, ok := s.Take(syscall.AF_INET6, syscall.SOCK_DGRAM); fd != -1 || !ok {
		t.Errorf("Take = %d, %v, want that there never is one", fd, ok)
	}
	if s.starved.Load() {
		t.Error("somebody waits for what never comes")
	}
}

// Only what was asked for is kept ahead, and little of it where descriptors are few.
func TestStockIsSmallWhereDescriptorsAreFew(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		const few = 256
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: few, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		s, notified := stocked(t)
		sys.Close(take(t, s, notified, syscall.AF_INET, syscall.SOCK_STREAM))
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		for k, c := range s.kinds {
			want := 0
			if k == kindOf(syscall.AF_INET, syscall.SOCK_STREAM) {
				want = few / stockShare
			}
			if len(c) > want {
				t.Errorf("%d sockets of kind %d ahead, want at most %d", len(c), k, want)
			}
		}
	})
}
