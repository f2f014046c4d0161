package rootlesskit

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
)

// connected gives two connected UNIX sockets.
func connected(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return ends[0], ends[1]
}

func here(f func() error) error { return f() }

func TestSocketsCross(t *testing.T) {
	parent, child := connected(t)
	served := make(chan error, 1)
	go func() { served <- (&maker{do: here}).serve(child) }()
	if err := greet(parent); err != nil {
		t.Fatal(err)
	}
	source := childSockets{parent, slog.New(slog.DiscardHandler)}
	for _, family := range []int{syscall.AF_INET, syscall.AF_INET6} {
		for _, typ := range []int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM} {
			for _, n := range []int{1, 64, maxSockets + 1} {
				fds, err := source.Make(family, typ, n)
				if err != nil || len(fds) != min(n, maxSockets) {
					t.Fatalf("Make(%d, %d, %d) gives %d sockets, %v", family, typ, n, len(fds), err)
				}
				gotFamily, _ := sys.GetInt(fds[n/2], syscall.SOL_SOCKET, syscall.SO_DOMAIN)
				gotType, _ := sys.GetInt(fds[n/2], syscall.SOL_SOCKET, syscall.SO_TYPE)
				if gotFamily != family || gotType != typ {
					t.Errorf("a socket of family %d, type %d, want %d, %d", gotFamily, gotType, family, typ)
				}
				closeAll(fds)
			}
		}
	}
	if fd := source.Raw(syscall.AF_INET); fd != -1 {
		t.Errorf("Raw = %d, want none", fd)
	}
	_ = parent.Close()
	if err := <-served; err != nil {
		t.Errorf("the child, after the parent has gone: %v", err)
	}
}

func TestChildsErrorsReachTheParent(t *testing.T) {
	parent, child := connected(t)
	fd, errno := sys.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(fd)
	if err := sendSockets(child, []int{fd}, syscall.EMFILE); err != nil {
		t.Fatal(err)
	}
	source := childSockets{parent, slog.New(slog.DiscardHandler)}
	fds, err := source.Make(syscall.AF_INET, syscall.SOCK_STREAM, 2)
	if len(fds) != 1 || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Make = %v, %v, want one socket and %v", fds, err, syscall.EMFILE)
	}
	closeAll(fds)
	if err := sendSockets(child, nil, syscall.EAFNOSUPPORT); err != nil {
		t.Fatal(err)
	}
	if fds, err := source.Make(syscall.AF_INET6, syscall.SOCK_STREAM, 2); fds != nil || !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("Make = %v, %v, want %v", fds, err, syscall.EAFNOSUPPORT)
	}
	_ = child.Close()
	if _, err := source.Make(syscall.AF_INET, syscall.SOCK_STREAM, 1); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("Make without child: %v, want %v", err, syscall.EAFNOSUPPORT)
	}
}

func TestMalformedAnswer(t *testing.T) {
	parent, child := connected(t)
	if _, err := child.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if _, err := (childSockets{parent, slog.New(slog.DiscardHandler)}).Make(syscall.AF_INET, syscall.SOCK_STREAM, 1); err == nil {
		t.Error("half an answer: no error")
	}
}

// FuzzServe checks that no input makes the child panic, or more sockets at once than
// an answer takes.
func FuzzServe(f *testing.F) {
	good := request{family: syscall.AF_INET6, typ: syscall.SOCK_DGRAM, n: 3}
	f.Add(good.encode())
	f.Add([]byte{2, 1, 255, 2, 1, 0})
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for rest := b; len(rest) >= requestLen; rest = rest[requestLen:] {
			r, err := decodeRequest(rest[:requestLen])
			if err == nil && (!bytes.Equal(r.encode(), rest[:requestLen]) || r.n > maxSockets) {
				t.Errorf("% x is decoded to %+v", rest[:requestLen], r)
			}
		}
		parent, child := connected(t)
		served := make(chan struct{})
		go func() {
			_ = (&maker{do: here}).serve(child)
			_ = child.Close()
			close(served)
		}()
		go func() {
			_, _ = parent.Write(b[:min(len(b), 30)])
			_ = parent.CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, parent) // which drops what comes along
		<-served
	})
}
