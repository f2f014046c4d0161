package tcp

import (
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// initialWindow is what a SYN offers, before scaling: the whole field.
	initialWindow = 65535
	// maxWindow bounds what we advertise to the guest: what it can send while this
	// process waits for its turn on a busy processor. A quarter of it costs a
	// third of the throughput (make bench, tcp-out).
	maxWindow = 4 << 20
	// queueSegments is the share of one connection in the tap's queue of 1000
	// packets (netcfg sets txqueuelen): seven of them fit at full speed.
	queueSegments = 128
	// maxInFlight bounds what we send to the guest beyond its acknowledgments. More
	// adds no speed, only cache misses (make bench, tcp-in).
	maxInFlight = 1 << 20
	// overcommit is advertised beyond the free part of the send buffer, with
	// the pool behind it. It makes the last write of a burst come out short, and
	// only then does the kernel report (edge-triggered) that the buffer drains.
	overcommit = chunkLen
	// maxHeld bounds what one connection may hold in the pool.
	maxHeld = 8 * chunkLen
)

// windowFor is what we could take from the guest now, in bytes: what is free
// in the host socket's send buffer, counted in the kernel's way, which
// charges overhead too.
func (h *Handler) windowFor(i uint32, c *conn) uint32 {
	if c.held > 0 || c.fd < 0 {
		return 0
	}
	var m sys.MemInfo
	if sys.SocketMemInfo(c.fd32(), &m) != 0 {
		return 0
	}
	free := uint32(0)
	if m.WmemQueued < m.Sndbuf {
		free = m.Sndbuf - m.WmemQueued
		free -= free >> c.overheadShift()
	}
	if !h.pool.low() {
		free += overcommit
	}
	return min(free, h.windowLimit(h.table.Key(i).Guest.Is4()))
}

// overheadShift is the share of a send buffer reserved for the kernel's overhead, as
// a shift: a sixteenth, where full segments need 2 %, or half of it, once a remote end
// with a tiny window has made the kernel cut its segments small.
func (c *conn) overheadShift() int {
	if c.has(heavy) {
		return 1
	}
	return 4
}

// windowLimit bounds the window by what the tap's queue holds: super-frames are
// few, but where the tap has no TSO, every segment is a packet there.
func (h *Handler) windowLimit(v4 bool) uint32 {
	if h.link.TSO(v4) {
		return maxWindow
	}
	return min(maxWindow, queueSegments*uint32(h.ourMSS(v4)))
}

// advertise decides the window field of a segment to the guest. The right edge
// never moves left (RFC 9293 section 3.8.6).
func (h *Handler) advertise(i uint32, c *conn, flags uint8) uint16 {
	if flags&packet.SYN != 0 {
		c.rcvAdv = c.rcvNxt.Add(initialWindow)
		return initialWindow
	}
	edge := seqnum.Max(c.rcvAdv, c.rcvNxt)
	if left := uint32(edge - c.rcvNxt); c.state.takesData() && left <= c.granted-c.granted/4 {
		// Only when a quarter is used: asking the kernel costs a system call, for an
		// answer that makes no difference to most segments.
		c.granted = h.windowFor(i, c)
		edge = seqnum.Max(edge, c.rcvNxt.Add(seqnum.Size(c.granted)))
	}
	units := (uint32(edge-c.rcvNxt) + 1<<c.rcvShift - 1) >> c.rcvShift
	units = min(units, 65535)
	c.rcvAdv = c.rcvNxt.Add(seqnum.Size(units << c.rcvShift))
	return uint16(units)
}

// windowGrew tells whether an update of the advertised window is worth a
// segment (RFC 9293 section 3.8.6.2.2): at least two segments or half of the window more.
func (h *Handler) windowGrew(i uint32, c *conn) bool {
	now := h.windowFor(i, c)
	before := uint32(c.rcvAdv - c.rcvNxt)
	if now <= before {
		return false
	}
	return now-before >= 2*uint32(c.mss) || now-before >= maxWindow/2 || before < now/2
}

// watchOut asks for an event when the host socket's send buffer has drained: a
// modification makes the kernel look at it anew, so no edge is missed.
func (h *Handler) watchOut(i uint32, c *conn) {
	if !c.has(wantOut) {
		c.set(wantOut)
		_ = h.loop.Mod(c.fd32(), hostEvents, loop.MakeToken(loop.KindTCP, h.table.Gen(i), i))
	}
}

// promised looks at the window after a segment has moved it or used some of it. A
// guest that keeps to a small one may never make a write come out short.
func (h *Handler) promised(i uint32, c *conn) {
	if c.state.takesData() && c.held == 0 && h.tight(i, c) {
		h.watchOut(i, c)
	}
}

// tight tells whether the advertised window is small, by what it can be.
func (h *Handler) tight(i uint32, c *conn) bool {
	largest := min(h.windowLimit(h.table.Key(i).Guest.Is4()), 65535<<c.rcvShift)
	return uint32(c.rcvAdv-c.rcvNxt) < min(overcommit, largest/2)
}
