package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
)

// A lean server or client does all its work in one thread with epoll and plain
// sockets. Rates of requests and of connections are measured between such ends: what the Go
// scheduler and its poller take for a request or a short connection is more than what the
// compared tools take.

// leanBacklog is how many connections may wait for the lean server: more than a client
// opens at once, or SYNs would be lost and the clock of their retransmission measured.
const leanBacklog = 4096

// leanMax bounds a request of lean clients, in bytes.
const leanMax = 64

// edge asks for one event per change (EPOLLET).
const edge = 1 << 31

// poller is an epoll instance.
type poller struct {
	fd     int
	events [64]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) add(fd int, bits uint32) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: bits, Fd: int32(fd)})
}

// wait returns descriptors that have something to do.
func (p *poller) wait() ([]syscall.EpollEvent, error) {
	for {
		n, err := syscall.EpollWait(p.fd, p.events[:], -1)
		if err != syscall.EINTR {
			return p.events[:max(n, 0)], err
		}
	}
}

// runServeLean answers "once" and "echo" on every address, as runServe does. A request
// must come in one piece, as the lean clients send it.
func runServeLean(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("want at least one address")
	}
	runtime.LockOSThread()
	p, err := newPoller()
	if err != nil {
		return err
	}
	listeners := make(map[int32]bool)
	for _, addr := range args {
		fd, err := listenLean(addr)
		if err == nil {
			err = p.add(fd, syscall.EPOLLIN)
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w", addr, err)
		}
		listeners[int32(fd)] = true
	}
	fmt.Println("ready")
	return serveLean(p, listeners)
}

func listenLean(addr string) (int, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	family, sa := sockaddr(at)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(fd, sa); err != nil {
		return -1, err
	}
	return fd, syscall.Listen(fd, leanBacklog)
}

func serveLean(p *poller, listeners map[int32]bool) error {
	for {
		events, err := p.wait()
		if err != nil {
			return err
		}
		for _, e := range events {
			switch {
			case listeners[e.Fd]:
				acceptLean(p, int(e.Fd))
			case !answerLean(int(e.Fd)):
				syscall.Close(int(e.Fd))
			}
		}
	}
}

// acceptLean takes one connection, whose request may be there already; the listener is
// reported again if there are more.
func acceptLean(p *poller, listener int) {
	fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
	if err != nil {
		return
	}
	if !answerLean(fd) || p.add(fd, syscall.EPOLLIN) != nil {
		syscall.Close(fd)
	}
}

// answerLean answers a request and tells whether the connection goes on.
func answerLean(fd int) bool {
	var b [leanMax]byte
	n, err := syscall.Read(fd, b[:])
	if err != nil || n == 0 {
		return err == syscall.EAGAIN
	}
	request := b[:n]
	if rest, ok := bytes.CutPrefix(request, []byte("once\n")); ok && len(rest) > 0 {
		_, _ = syscall.Write(fd, rest[:1])
		return false
	}
	request = bytes.TrimPrefix(request, []byte("echo\n"))
	_, err = syscall.Write(fd, request)
	return err == nil
}
