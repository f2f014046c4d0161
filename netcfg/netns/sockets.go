package netns

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

const (
	// stock is how many sockets are kept ahead of each kind that was asked for, but no
	// more than one of stockShare descriptors that the process may have. Below
	// half of it the stock is filled up again: one wake-up of the thread serves
	// many connections.
	stock      = 64
	stockShare = 64
	// retryAfter is how long to wait after a socket could not be made.
	retryAfter = 100 * time.Millisecond
)

// Sockets is a stock of unconnected, non-blocking sockets made ahead in a network
// namespace: a socket stays in the namespace that it was made in, whoever uses
// it, and so the event loop can connect there although its thread cannot enter.
type Sockets struct {
	source Source
	// kinds by family and type, see kindOf; the channels are the stock.
	kinds [4]chan int
	wake  chan struct{}
	// wanted kinds were asked for, lacking ones are none that the kernel knows.
	wanted, lacking [4]atomic.Bool
	// starved: Take found nothing, so that notify is due.
	starved atomic.Bool
	notify  func()
}

// Source makes sockets in a network namespace. One goroutine at a time calls it.
type Source interface {
	// Make gives n unconnected, non-blocking sockets, or some of them and an error.
	// Family and type are as for Take; EAFNOSUPPORT: there never will be one.
	Make(family, typ, n int) (fds []int, err error)
	// Raw gives a socket as Sockets.Raw says, or -1.
	Raw(family int) int
}

// NewSockets makes a stock. It is empty until Run is called.
func NewSockets(source Source) *Sockets {
	s := &Sockets{source: source, wake: make(chan struct{}, 1), notify: func() {}}
	for i := range s.kinds {
		s.kinds[i] = make(chan int, stockLen())
	}
	return s
}

// stockLen is how many sockets of one kind may be kept ahead.
func stockLen() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return stock
	}
	return int(min(stock, max(2, limit.Cur/stockShare)))
}

// kindOf is the index of a kind of sockets.
func kindOf(family, typ int) int {
	k := 0
	if family == syscall.AF_INET6 {
		k = 1
	}
	if typ == syscall.SOCK_DGRAM {
		k += 2
	}
	return k
}

// kindAt is the inverse of kindOf.
func kindAt(k int) (family, typ int) {
	family, typ = syscall.AF_INET, syscall.SOCK_STREAM
	if k&1 != 0 {
		family = syscall.AF_INET6
	}
	if k&2 != 0 {
		typ = syscall.SOCK_DGRAM
	}
	return family, typ
}

// Notify sets what is called once there are sockets again after Take had none. It
// must be called before Run.
func (s *Sockets) Notify(f func()) { s.notify = f }

// Take gives a socket, which is the caller's from then on, or -1 if the kernel knows
// none of that kind; ok is false if none is left at the moment. family is AF_INET or AF_INET6, typ SOCK_STREAM or
// SOCK_DGRAM. Any goroutine may call it; it never waits, and never allocates.
func (s *Sockets) Take(family, typ int) (fd int, ok bool) {
	kind := kindOf(family, typ)
	if s.lacking[kind].Load() {
		return -1, true
	}
	s.wanted[kind].Store(true)
	c := s.kinds[kind]
	select {
	case fd = <-c:
		ok = true
	default:
		fd = -1
		s.starved.Store(true)
	}
	if len(c) < cap(c)/2 || !ok {
		s.kick()
	}
	return fd, ok
}

// Raw makes a socket that sends whole packets of an IP version in the namespace, and
// receives nothing (raw(7)), or gives -1 where we may not. It is the caller's. The
// thread must still have CAP_NET_RAW there.
func (s *Sockets) Raw(family int) int { return s.source.Raw(family) }

// kick has Run look at the stock.
func (s *Sockets) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run keeps the stock filled, from the first Take on, until stop is closed, and then
// closes what is left of it. It is for a goroutine of its own. Most runs, and all
// short ones, need no socket.
func (s *Sockets) Run(stop <-chan struct{}) {
	var retry <-chan time.Time
	for {
		select {
		case <-stop:
			s.drain()
			return
		case <-s.wake:
		case <-retry:
		}
		retry = nil
		err := s.fill()
		switch {
		case !s.starved.Load():
		case err != nil:
			retry = time.After(retryAfter)
		default:
			s.starved.Store(false)
			s.notify()
		}
	}
}

// fill has the sockets made that are missing. The error is the first one.
func (s *Sockets) fill() error {
	var first error
	for k, c := range s.kinds {
		if !s.wanted[k].Load() || len(c) == cap(c) || s.lacking[k].Load() {
			continue
		}
		family, typ := kindAt(k)
		fds, err := s.source.Make(family, typ, cap(c)-len(c))
		for _, fd := range fds {
			c <- fd // only fill adds, so there is room
		}
		switch {
		case errors.Is(err, syscall.EAFNOSUPPORT):
			s.lacking[k].Store(true)
		case first == nil:
			first = err
		}
	}
	return first
}

func (s *Sockets) drain() {
	for _, c := range s.kinds {
		for len(c) > 0 {
			sys.Close(<-c)
		}
	}
}
