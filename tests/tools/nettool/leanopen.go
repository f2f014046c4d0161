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
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	start := time.Now()
	if err := openAll(to, *count, *atOnce); err != nil {
		return err
	}
	fmt.Printf("%.0f\n", float64(*count)/time.Since(start).Seconds())
	return nil
}

// openAll keeps atOnce connections on their way until there are count.
func openAll(to netip.AddrPort, count, atOnce int) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	underWay := make(map[int32]opening, atOnce)
	for started := 0; started < count || len(underWay) > 0; {
		for ; started < count && len(underWay) < atOnce; started++ {
			fd, err := beginConnect(p, to)
			if err != nil {
				return fmt.Errorf("connection %d: %w", started, err)
			}
			underWay[int32(fd)] = opening{tag: uint64(started)}
		}
		events, err := p.wait()
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := p.goOn(underWay, e); err != nil {
				return fmt.Errorf("connection %d: %w", underWay[e.Fd].tag, err)
			}
		}
	}
	return nil
}

// beginConnect starts connecting; the poller reports when that is done.
func beginConnect(p *poller, to netip.AddrPort) (int, error) {
	family, sa := sockaddr(to)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := syscall.Connect(fd, sa); err != nil && err != syscall.EINPROGRESS {
		return -1, err
	}
	return fd, p.add(fd, syscall.EPOLLOUT)
}

// goOn does the next step of a connection: the request, once it is connected, then
// the answer, after which it is only held.
func (p *poller) goOn(underWay map[int32]opening, e syscall.EpollEvent) error {
	o, fd := underWay[e.Fd], int(e.Fd)
	if !o.sent {
		request := binary.BigEndian.AppendUint64([]byte("echo\n"), o.tag)
		if _, err := syscall.Write(fd, request); err != nil {
			return err // of connecting, too
		}
		o.sent = true
		underWay[e.Fd] = o
		return p.change(fd, syscall.EPOLLIN)
	}
	var got [8]byte
	n, err := syscall.Read(fd, got[:])
	if err != nil {
		return err
	}
	if want := binary.BigEndian.AppendUint64(nil, o.tag); !bytes.Equal(got[:n], want) {
		return fmt.Errorf("got %x back, want %x", got[:n], want)
	}
	delete(underWay, e.Fd)
	return p.forget(fd)
}
