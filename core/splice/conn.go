package splice

import (
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// state is how far a connection has come.
type state uint8

const (
	// free slots take part in nothing.
	free state = iota
	// waiting connections have no second socket yet, and the first one is not
	// watched.
	waiting
	// connecting: both sockets are watched, the second one connects. Events are
	// noted; only errors end the connection.
	connecting
	// open connections carry data.
	open
)

// flags of connections (queued to listed) and directions (all others).
type flags uint16

const (
	// queued connections are in the backlog or wait for a pipe.
	queued flags = 1 << iota
	// failed: one of the sockets met an error; what can still be read is carried
	// before the connection is reset.
	failed
	// listed connections are among those with merged wake-ups.
	listed

	// readable: the source may hold something, or its end.
	readable
	// blocked: the destination takes nothing before the next loop.Out.
	blocked
	// urgent: the source holds urgent data.
	urgent
	// ending: the source will say no more than what it holds.
	ending
	// eof: the source has said all; what is in the pipe remains.
	eof
	// done: the destination has been told, or takes nothing any more.
	done
	// merged: the source wakes the loop only when it holds mergeBytes.
	merged
	// moved: bulk was carried since the last look at merged sources.
	moved
)

// conn is one connection.
type conn struct {
	fd     [2]int32 // sockets by side: the accepted one and ours that connects
	dir    [2]direction
	target fwd.Target
	since  int64  // loop time of Open
	gen    uint16 // of the slot
	tries  uint16 // after the target refused
	state  state
	flags
}

// direction carries bytes from the socket of its own index to the other one.
type direction struct {
	pipe uint32 // in the pool, or noPipe if nothing is held
	held int32  // bytes in the pipe
	flags
}

func (f *flags) set(g flags)      { *f |= g }
func (f *flags) clear(g flags)    { *f &^= g }
func (f *flags) has(g flags) bool { return *f&g != 0 }

// note remembers what an event of the socket of side s says: with edges it is said
// once.
func (c *conn) note(s int, bits uint32) {
	from, to := &c.dir[s], &c.dir[1-s]
	if bits&(loop.In|loop.Err|loop.Hup) != 0 {
		from.set(readable)
	}
	if bits&(loop.Rdh|loop.Err|loop.Hup) != 0 {
		from.set(ending)
	}
	if bits&loop.Pri != 0 {
		from.set(urgent)
	}
	if bits&(loop.Out|loop.Err|loop.Hup) != 0 {
		to.clear(blocked)
	}
	if bits&loop.Err != 0 {
		c.set(failed)
	}
}

// abort ends c with RST for both ends.
func (h *TCP) abort(i uint32, c *conn) {
	h.Stats.Reset++
	for _, fd := range c.fd {
		if fd >= 0 {
			_ = sys.SetLingerReset(int(fd))
		}
	}
	h.release(i, c)
}

// release closes the sockets of c and frees its slot. Nothing held is delivered.
func (h *TCP) release(i uint32, c *conn) {
	for s, fd := range c.fd {
		if fd >= 0 {
			sys.Close(int(fd)) // leaves epoll by itself
		}
		if p := c.dir[s].pipe; p != noPipe {
			h.pipes.discard(p)
		}
	}
	c.state, c.flags = free, 0
	h.slots.put(i)
}

// resetClose closes fd with RST.
func resetClose(fd int) {
	_ = sys.SetLingerReset(fd)
	sys.Close(fd)
}

// slots hands out the numbers from 0 to what unused has room for, used ones first: memory that belongs to
// a slot is not touched before.
type slots struct {
	unused  []uint32
	touched int // numbers handed out ever
	used    int
}

// take gives a number; ok is false if all are in use.
func (s *slots) take() (i uint32, ok bool) {
	switch n := len(s.unused); {
	case n > 0:
		i = s.unused[n-1]
		s.unused = s.unused[:n-1]
	case s.touched < cap(s.unused):
		i = uint32(s.touched)
		s.touched++
	default:
		return 0, false
	}
	s.used++
	return i, true
}

// put takes a number back.
func (s *slots) put(i uint32) {
	s.unused = append(s.unused, i)
	s.used--
}
