// Package loop is the event loop's machinery: epoll, the clock, and the inbox
// through which other goroutines reach the loop. It knows nothing of protocols:
// the engine dispatches on the Kind in each event's Token.
//
// All methods but Post belong to the one goroutine that runs the loop.
//
// Import level: above pcap, below fwd.
package loop

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

// maxEvents bounds how many events one turn handles before timers and the
// inbox get their share.
const maxEvents = 128

// Event bits of descriptors (epoll_ctl(2)).
const (
	In   = 0x1
	Pri  = 0x2 // urgent data (tcp(7))
	Out  = 0x4
	Err  = 0x8
	Hup  = 0x10
	Rdh  = 0x2000 // peer shut down its writing half
	Edge = 1 << 31
)

// NoDeadline is a time that never comes.
const NoDeadline = int64(1<<63 - 1)

// Event is one ready descriptor.
type Event struct {
	Token Token
	Bits  uint32
}

// Loop is one epoll instance with its clock and inbox.
type Loop struct {
	epfd, wakefd int
	start        time.Time
	now          int64
	raw          [maxEvents]sys.EpollEvent
	events       [maxEvents]Event
	trust        int // in polling before sleeping; negative: shunned; see await
	late         int // events that polling just missed, weighted
	unhurried    bool
	probe        func() bool // of the next Wait; nil: none

	mu     sync.Mutex // guards the fields below
	inbox  []func()
	spare  []func()
	closed bool
}

// New makes a loop.
func New() (*Loop, error) {
	ep, err := sys.EpollCreate()
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	wake, err := sys.Eventfd()
	if err != nil {
		sys.Close(ep)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	l := &Loop{epfd: ep, wakefd: wake, start: time.Now()}
	if errno := l.Add(wake, In, MakeToken(KindWake, 0, 0)); errno != 0 {
		l.Close()
		return nil, fmt.Errorf("watch eventfd: %w", errno)
	}
	return l, nil
}

// Close releases the loop's own descriptors. What is posted from then on is
// forgotten, so that whoever posts need not know that the loop has ended.
func (l *Loop) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	sys.Close(l.epfd)
	sys.Close(l.wakefd)
}

// Add watches fd for bits.
func (l *Loop) Add(fd int, bits uint32, t Token) syscall.Errno {
	return sys.EpollAdd(l.epfd, fd, bits, uint64(t))
}

// Mod changes what fd is watched for; with Edge, what is pending now is
// reported again.
func (l *Loop) Mod(fd int, bits uint32, t Token) syscall.Errno {
	return sys.EpollMod(l.epfd, fd, bits, uint64(t))
}

// Del stops watching fd. Needed only for descriptors that have duplicates:
// closing the last one removes it too.
func (l *Loop) Del(fd int) { _ = sys.EpollDel(l.epfd, fd) }

// Now is the loop's clock in nanoseconds since it was made, read once per turn.
func (l *Loop) Now() int64 { return l.now }

// Wait sleeps until a descriptor is ready or the clock reaches deadline, and
// returns the ready ones, valid until the next call.
func (l *Loop) Wait(deadline int64) ([]Event, error) {
	timeout := time.Duration(-1)
	if deadline != NoDeadline {
		timeout = max(0, time.Duration(deadline)-time.Since(l.start))
	}
	n, errno := l.await(timeout)
	l.probe = nil
	if errno != 0 {
		return nil, fmt.Errorf("wait for events: %w", errno)
	}
	l.now = int64(time.Since(l.start))
	for i := range n {
		l.events[i] = Event{Token(l.raw[i].Data()), l.raw[i].Bits()}
	}
	return l.events[:n], nil
}

// Post has f run by the loop's goroutine in its next turn. Any goroutine may
// call it. f must not block.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // the number of wakefd may already be another descriptor's
		return
	}
	l.inbox = append(l.inbox, f)
	sys.EventfdKick(l.wakefd)
}

// RunInbox runs what was posted. The engine calls it on events of KindWake.
func (l *Loop) RunInbox() {
	sys.EventfdDrain(l.wakefd)
	l.mu.Lock()
	work := l.inbox
	l.inbox, l.spare = l.spare[:0], nil
	l.mu.Unlock()
	for i, f := range work {
		f()
		work[i] = nil
	}
	l.mu.Lock()
	l.spare = work[:0]
	l.mu.Unlock()
}
