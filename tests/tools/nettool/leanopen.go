package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// opening is one connection of runOpen on its way: the tag that it sends and wants back,
// so that mixed-up connections show.
type opening struct {
	tag  uint64
	sent bool
}

// runOpen prints how many connections per second it opens, uses once and then holds, -at-once
// of them at a time.
func runOpen(args []string) error {
	f := newClient("open")
	count := f.Int("count", 2000, "connections to hold in the end")
	atOnce := f.Int("at-once", dialers, "connections on their way at a time")
	to, err := f.addrPort(args)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	start := time.Now()
	fds, err := openAll(to, *count, *atOnce)
	if err != nil {
		return err
	}
	fmt.Printf("%.0f\n", float64(*count)/time.Since(start).Seconds())
	return resetAll(fds)
}

// openAll keeps atOnce connections on their way until there are count, and returns their
// sockets.
func openAll(to netip.AddrPort, count, atOnce int) ([]int32, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	fds := make([]int32, 0, count)
	var states []opening // by descriptor
	for done := 0; done < count; {
		for len(fds) < count && len(fds)-done < atOnce {
			fd, err := beginConnect(p, to)
			if err != nil {
				return nil, fmt.Errorf("connection %d: %w", len(fds), err)
			}
			states = append(states, make([]opening, max(fd+1-len(states), 0))...)
			states[fd] = opening{tag: uint64(len(fds))}
			fds = append(fds, int32(fd))
		}
		events, err := p.wait()
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			o := &states[e.Fd]
			held, err := o.goOn(e)
			if err != nil {
				return nil, fmt.Errorf("connection %d: %w", o.tag, err)
			}
			if held {
				done++
			}
		}
	}
	return fds, nil
}

// beginConnect starts connecting. The poller reports, once, when that is done, and when
// there is an answer.
func beginConnect(p *poller, to netip.AddrPort) (int, error) {
	family, sa := sockaddr(to)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := syscall.Connect(fd, sa); err != nil && err != syscall.EINPROGRESS {
		return -1, err
	}
	return fd, p.add(fd, syscall.EPOLLIN|syscall.EPOLLOUT|edge)
}

// goOn does the next step of a connection: the request, once it is connected, then
// the answer, after which it is only held: true.
func (o *opening) goOn(e syscall.EpollEvent) (held bool, err error) {
	fd := int(e.Fd)
	if !o.sent {
		request := binary.BigEndian.AppendUint64([]byte("echo\n"), o.tag)
		_, err := syscall.Write(fd, request) // fails if connecting has
		o.sent = true
		return false, err
	}
	if e.Events&syscall.EPOLLIN == 0 {
		return false, nil
	}
	var got [8]byte
	n, err := syscall.Read(fd, got[:])
	if err != nil {
		return false, err
	}
	if want := binary.BigEndian.AppendUint64(nil, o.tag); !bytes.Equal(got[:n], want) {
		return false, fmt.Errorf("got %x back, want %x", got[:n], want)
	}
	return true, nil
}

// resetAll has the connections reset when the process ends, so that no port is left in
// TIME-WAIT: a few runs would use them up.
func resetAll(fds []int32) error {
	for _, fd := range fds {
		err := syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		if err != nil {
			return err
		}
	}
	return nil
}
