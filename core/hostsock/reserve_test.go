package hostsock

import (
	"os"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
)

// lowest gives the lowest descriptor that is free.
func lowest(t *testing.T) int {
	t.Helper()
	fd, errno := sys.Placeholder()
	if errno != 0 {
		t.Fatal(errno)
	}
	sys.Close(fd)
	return fd
}

func TestLimits(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
	for _, tt := range []struct {
		cur                    uint64
		conns, flows, listener Limit
	}{{4096, 3968, 4032, 4064}, {1024, 900, 960, 992}, {512, 420, 448, 480}, {256, 210, 224, 240}} {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: tt.cur, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		if c, f, l := ConnLimit(), flowLimit(), ListenerLimit(); c != tt.conns || f != tt.flows || l != tt.listener {
			t.Errorf("of %d: connections have those below %d, flows %d, listeners %d, want %d, %d and %d",
				tt.cur, c, f, l, tt.conns, tt.flows, tt.listener)
		}
	}
}

func TestCheck(t *testing.T) {
	next := lowest(t)
	if fd, errno := Limit(next).Check(sys.Placeholder()); fd != -1 || errno != syscall.EMFILE {
		t.Errorf("at the limit: %d, %v, want %v", fd, errno, syscall.EMFILE)
	}
	if again := lowest(t); again != next {
		t.Errorf("descriptor %d is still open", next)
	}
	fd, errno := Limit(next + 1).Check(sys.Placeholder())
	if fd != next || errno != 0 {
		t.Errorf("below the limit: %d, %v, want %d", fd, errno, next)
	}
	sys.Close(fd)
	if fd, errno := Limit(0).Check(-1, syscall.ENFILE); fd != -1 || errno != syscall.ENFILE {
		t.Errorf("after an error: %d, %v, want %v", fd, errno, syscall.ENFILE)
	}
}

func TestSpare(t *testing.T) {
	first := lowest(t)
	s := NewSpare(Limit(first + 1))
	for range 2 {
		if !s.Ready() {
			t.Fatal("no spare descriptor below the limit")
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	high, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Fit(high); got != first {
		t.Fatalf("a connection above the limit becomes descriptor %d, want %d", got, first)
	}
	if _, errno := sys.Write(first, []byte("x")); errno != 0 {
		t.Errorf("it cannot be used: %v", errno)
	}
	if _, errno := sys.Write(high, []byte("x")); errno != syscall.EBADF {
		t.Errorf("its old number: %v, want %v", errno, syscall.EBADF)
	}
	if s.Ready() {
		t.Error("ready without a descriptor below the limit")
	}
	sys.Close(first)
	if !s.Ready() || s.Fit(first) != first {
		t.Error("not ready again, or what is below the limit is moved")
	}
	s.Close()
	if again := lowest(t); again != first {
		t.Errorf("descriptor %d is still open", first)
	}
}
