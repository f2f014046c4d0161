package main

import (
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// runRR prints the number of one-byte requests answered per second on one
// connection, or on several at once. As in runCRR it is blocking calls that ask, as those
// of netperf's TCP_RR do; with -go it is the net package.
func runRR(args []string) error {
	f := newClient("rr")
	span := f.Duration("for", 2*time.Second, "measure for this long")
	clients := f.Int("clients", 1, "so many connections at once")
	viaGo := f.Bool("go", false, "by Go's net package, whose scheduler has a large share then")
	to, err := f.addrPort(args)
	if err != nil {
		return err
	}
	connect := func() (io.ReadWriteCloser, error) { return connectBlocking(to) }
	if *viaGo {
		connect = func() (io.ReadWriteCloser, error) { return dial(to.String(), "echo") }
	} else {
		ownThreads(*clients)
	}
	return printRate(*clients, *span, func() (*asker, error) {
		c, err := connect()
		if err != nil {
			return nil, err
		}
		return &asker{func() error { return ping(c) }, func() { c.Close() }}, ping(c)
	})
}

// ownThreads lets so many locked threads make blocking calls without waiting for the Go
// scheduler after each.
func ownThreads(n int) { runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), n+1)) }

// asker is a client that is ready to ask.
type asker struct {
	ask   func() error
	close func()
}

// connectBlocking connects a plain socket to an echo server, for a thread of its own.
func connectBlocking(to netip.AddrPort) (plainSocket, error) {
	runtime.LockOSThread()
	family, sa := sockaddr(to)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) // as the net package does
	c := plainSocket(fd)
	if err = syscall.Connect(fd, sa); err == nil {
		_, err = c.Write([]byte("echo\n"))
	}
	if err != nil {
		c.Close()
		return -1, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

// plainSocket is a blocking socket.
type plainSocket int

func (s plainSocket) Write(b []byte) (int, error) { return syscall.Write(int(s), b) }

func (s plainSocket) Read(b []byte) (int, error) {
	n, err := syscall.Read(int(s), b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (s plainSocket) Close() error { return syscall.Close(int(s)) }

// runCRR prints the number of complete connections per second: connect, one
// request, one answer, close. The server closes first, so that TIME-WAIT (RFC
// 9293 section 3.6.1) holds its side: the client's ports would run out. Blocking
// calls on plain sockets keep the Go scheduler, whose share would be larger than
// that of what is measured, out of the figure.
func runCRR(args []string) error {
	f := newClient("crr")
	span := f.Duration("for", 2*time.Second, "measure for this long")
	clients := f.Int("clients", 1, "so many clients at once, each in a thread of its own")
	to, err := f.addrPort(args)
	if err != nil {
		return err
	}
	ownThreads(*clients)
	return printRate(*clients, *span, func() (*asker, error) {
		runtime.LockOSThread()
		family, sa := sockaddr(to)
		return &asker{func() error { return connectRequestClose(family, sa) }, func() {}}, nil
	})
}

// printRate prints how often per second so many clients together ask, from when all
// are ready: one that connects late would else ask while others have ended.
func printRate(clients int, span time.Duration, connect func() (*asker, error)) error {
	var ready sync.WaitGroup
	ready.Add(clients)
	rates := make([]float64, clients)
	failed := each(clients, clients, func(i int) error {
		c, err := connect()
		ready.Done()
		if c != nil {
			defer c.close()
		}
		if err != nil {
			return err
		}
		ready.Wait()
		rates[i], err = rate(span, c.ask)
		return err
	})
	if failed != nil {
		return failed
	}
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	fmt.Printf("%.0f\n", sum)
	return nil
}

func sockaddr(a netip.AddrPort) (int, syscall.Sockaddr) {
	if a.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func connectRequestClose(family int, to syscall.Sockaddr) error {
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err := syscall.Connect(fd, to); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if _, err := syscall.Write(fd, []byte("once\n?")); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	got := ""
	for {
		var b [8]byte
		n, err := syscall.Read(fd, b[:])
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			break
		}
		got += string(b[:n])
	}
	if got != "?" {
		return fmt.Errorf("answer is %q, want %q", got, "?")
	}
	return nil
}

// lastAsked is what the clients of ping have sent last: another byte each time.
var lastAsked atomic.Uint32

// ping sends a byte and takes it back.
func ping(c io.ReadWriter) error {
	asked := byte(lastAsked.Add(1))
	b := [1]byte{asked}
	if _, err := c.Write(b[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	if b[0] != asked {
		return fmt.Errorf("answer is %#x, want %#x", b[0], asked)
	}
	return nil
}

// rate repeats work for the span and returns how often per second it ran.
func rate(span time.Duration, work func() error) (float64, error) {
	n, start := 0, time.Now()
	for time.Since(start) < span {
		if err := work(); err != nil {
			return 0, fmt.Errorf("after %d: %w", n, err)
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), nil
}
