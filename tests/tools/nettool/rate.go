package main

import (
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// runRR prints the number of one-byte requests answered per second on one
// connection.
func runRR(args []string) error {
	f := newClient("rr")
	span := f.Duration("for", 2*time.Second, "measure for this long")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	c, err := dial(addr, "echo")
	if err != nil {
		return err
	}
	defer c.Close()
	perSecond, err := rate(*span, func() error { return ping(c) })
	if err != nil {
		return err
	}
	fmt.Printf("%.0f\n", perSecond)
	return nil
}

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
	rates := make([]float64, *clients)
	failed := each(*clients, *clients, func(i int) (err error) {
		runtime.LockOSThread()
		family, sa := sockaddr(to)
		rates[i], err = rate(*span, func() error { return connectRequestClose(family, sa) })
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

func ping(c io.ReadWriter) error {
	var b [1]byte
	if _, err := c.Write(b[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b[:])
	return err
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
