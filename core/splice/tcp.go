package splice

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// Options size a TCP handler. Zero fields take the defaults beside them.
type Options struct {
	// MaxFlows is the number of connections (65536).
	MaxFlows int
	// RetryFor is how long a target that refuses is asked again (0: not at all). What
	// counts are the tries, 10 ms apart: a machine that stands still does not
	// use them up.
	RetryFor time.Duration
}

// Stats are event counters of a TCP handler.
type Stats struct {
	// Opened counts connections, Reset those that ended with RST, Refused those that
	// found no place in the table.
	Opened, Reset, Refused uint64
	// Bytes counts what was carried, both ways.
	Bytes uint64
}

const (
	// turnBytes is what a direction carries before others get their turn.
	turnBytes = 1 << 20
	// fillBytes is the most that is asked of a socket at once.
	fillBytes = 1 << 20
	// pipePause is how long a direction waits when no pipe can be opened.
	pipePause = int64(10 * time.Millisecond)
	// socketWait is how long a connection waits for a socket in the namespace.
	socketWait = int64(10 * time.Second)
	// watched are the events of each socket.
	watched = loop.In | loop.Out | loop.Pri | loop.Rdh | loop.Edge
)

// TCP carries connections between two sockets each.
type TCP struct {
	loop    *loop.Loop
	sockets Sockets
	conns   []conn
	slots   slots
	pipes   pipes
	fdLimit hostsock.Limit

	backlog []uint32 // used up their share of a turn
	hungry  []uint32 // wait for a pipe, until retryAt
	retryAt int64
	merging []uint32 // have merged wake-ups; next looked at at mergeAt
	mergeAt int64
	waiting []uint32 // wait for a socket, the first one longest
	refused refused
	now     int64
	urgent  [1]byte // scratch

	// Stats is for reading between events.
	Stats Stats
}

// NewTCP makes a handler. Without sockets, connections to the namespace are refused;
// otherwise the caller has Resume called in a turn of lp whenever sockets notifies it.
func NewTCP(lp *loop.Loop, sockets Sockets, o Options) *TCP {
	if o.MaxFlows == 0 {
		o.MaxFlows = 1 << 16
	}
	h := &TCP{
		loop: lp, sockets: sockets, fdLimit: hostsock.ConnLimit(),
		retryAt: loop.NoDeadline,
		mergeAt: loop.NoDeadline,
	}
	list := func(n int) []uint32 { return sys.Slab[uint32](h, n)[:0] }
	h.conns, h.pipes = sys.Slab[conn](h, o.MaxFlows), newPipes(h, 2*o.MaxFlows)
	h.slots.unused, h.waiting, h.refused = list(o.MaxFlows), list(o.MaxFlows), newRefused(h, o)
	h.backlog, h.hungry, h.merging = list(2*o.MaxFlows), list(2*o.MaxFlows), list(2*o.MaxFlows)
	return h
}

// Len is the number of connections.
func (h *TCP) Len() int { return h.slots.used }

// Open takes over the accepted connection fd and connects it to t. Where that does
// not work the client gets a RST.
func (h *TCP) Open(fd int, t fwd.Target, now int64) {
	h.now = now
	i, ok := h.slots.take()
	if !ok {
		h.Stats.Refused++
		resetClose(fd)
		return
	}
	h.Stats.Opened++
	h.pipes.reserve()
	c := &h.conns[i]
	*c = conn{gen: c.gen + 1, state: waiting, fd: [2]int32{int32(fd), -1}, target: t, since: now}
	c.dir[0].pipe, c.dir[1].pipe = noPipe, noPipe
	if !h.start(i, c) {
		h.waiting = append(h.waiting, i)
	}
}

// start gives c its second socket and tells whether there was one.
func (h *TCP) start(i uint32, c *conn) bool {
	fd, ok := takeSocket(h.sockets, &c.target, syscall.SOCK_STREAM, h.fdLimit)
	if !ok {
		return false
	}
	c.fd[1] = int32(fd)
	c.state = connecting
	if fd < 0 {
		h.abort(i, c)
		return true
	}
	_ = sys.SetInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if !c.target.Client.IsZero() {
		showClient(fd, &c.target)
	}
	to := sys.MakeSockAddr(c.target.Addr, c.target.Port, 0)
	errno := sys.Connect(fd, &to)
	if sys.SelfConnected(fd, &to) {
		errno = syscall.ECONNREFUSED
	}
	if errno != 0 && errno != syscall.EINPROGRESS {
		if !h.askAgain(i, c, errno) {
			h.abort(i, c)
		}
		return true
	}
	for s, fd := range c.fd {
		if h.loop.Add(int(fd), watched, loop.MakeToken(loop.KindSplice, c.gen, i<<1|uint32(s))) != 0 {
			h.abort(i, c)
			return true
		}
	}
	return true
}

// Resume gives waiting connections the sockets that have become available.
func (h *TCP) Resume(now int64) {
	h.now = now
	n := 0
	for n < len(h.waiting) {
		i := h.waiting[n]
		if !h.start(i, &h.conns[i]) {
			break
		}
		n++
	}
	h.waiting = append(h.waiting[:0], h.waiting[n:]...)
}

// FromSock handles an event of a socket.
func (h *TCP) FromSock(index uint32, gen uint16, bits uint32, now int64) {
	h.now = now
	i, s := index>>1, index&1
	c := &h.conns[i]
	if c.state < connecting || c.gen != gen {
		return
	}
	c.note(int(s), bits)
	if c.state == connecting {
		h.connected(i, c, int(s), bits)
		return
	}
	if !c.has(queued) {
		h.carry(i, c)
	}
}

// connected handles events before c's second socket is connected.
func (h *TCP) connected(i uint32, c *conn, s int, bits uint32) {
	switch {
	case c.has(failed):
		if s == 0 || h.refused.tries == 0 || !h.askAgain(i, c, sys.SocketError(int(c.fd[1]))) {
			h.abort(i, c)
		}
	case s == 1 && bits&loop.Out != 0:
		c.state = open
		h.carry(i, c)
	}
}

// carry moves what can be moved, both ways, and ends c if it is done.
func (h *TCP) carry(i uint32, c *conn) {
	h.pump(i, c, 0, turnBytes)
	h.pump(i, c, 1, turnBytes)
	if c.dir[0].has(blocked) || c.dir[1].has(blocked) {
		h.loop.Unhurried()
	}
	switch {
	case c.has(queued):
	case c.has(failed):
		h.abort(i, c)
	case c.dir[0].has(done) && c.dir[1].has(done):
		h.release(i, c)
	}
}

// Backlog tells whether connections wait for their next share of a turn; the
// engine then polls instead of sleeping and calls RunBacklog.
func (h *TCP) Backlog() bool { return len(h.backlog) > 0 }

// RunBacklog gives each connection in the backlog another share.
func (h *TCP) RunBacklog(now int64) {
	h.now = now
	h.again(&h.backlog)
}

// again carries the connections in list, which may put themselves on it once more.
func (h *TCP) again(list *[]uint32) {
	n := len(*list)
	for k := range n {
		i := (*list)[k]
		if c := &h.conns[i]; c.has(queued) { // else its slot was freed
			c.clear(queued)
			h.carry(i, c)
		}
	}
	*list = append((*list)[:0], (*list)[n:]...)
}

// NextDeadline is when Expire is due on the loop's clock, or loop.NoDeadline.
func (h *TCP) NextDeadline() int64 {
	at := min(h.retryAt, h.mergeAt, h.refused.at)
	if len(h.waiting) > 0 {
		return min(at, h.conns[h.waiting[0]].since+socketWait)
	}
	return at
}

// Expire ends connections that waited too long for a socket, tries directions again
// that had no pipe and targets that refused, and looks after merged wake-ups.
func (h *TCP) Expire(now int64) {
	h.now = now
	for len(h.waiting) > 0 && h.conns[h.waiting[0]].since+socketWait <= now {
		i := h.waiting[0]
		h.waiting = append(h.waiting[:0], h.waiting[1:]...)
		h.abort(i, &h.conns[i])
	}
	if h.retryAt <= now {
		h.retryAt = loop.NoDeadline
		h.again(&h.hungry)
	}
	if h.mergeAt <= now {
		h.endMerging()
	}
	if h.refused.at <= now {
		h.retryRefused()
	}
}

// Busy tells whether a connection has bytes to carry of which nothing more will come,
// or that wait in a pipe: what the end of a run should wait for.
func (h *TCP) Busy() bool {
	for i := range h.conns[:h.slots.touched] {
		if c := &h.conns[i]; c.state == open && (c.dir[0].busy() || c.dir[1].busy()) {
			return true
		}
	}
	return false
}

func (d *direction) busy() bool { return d.held > 0 || d.has(readable|ending|eof) && !d.has(done) }

// Close ends every connection and closes all sockets and pipes: with RST, unless one
// end has said all and the kernel has it.
func (h *TCP) Close() {
	for i := range h.conns[:h.slots.touched] {
		c := &h.conns[i]
		switch {
		case c.state == free:
		case c.delivered():
			h.release(uint32(i), c)
		default:
			h.abort(uint32(i), c)
		}
	}
	h.pipes.close()
}

// delivered tells whether one end of c has said all, and nothing of c is held.
func (c *conn) delivered() bool {
	return !c.has(failed) && c.dir[0].held+c.dir[1].held == 0 && (c.dir[0].has(done) || c.dir[1].has(done))
}
