// Package tcp translates the guest's TCP connections to host sockets and back.
//
// The guest's kernel talks to us as if to its remote peer: this package is that
// peer's end of the connection (RFC 9293), without congestion control on the
// loss-free link, and without buffers of its own towards the guest: what the guest
// has not acknowledged stays in the host socket's receive queue, where it is peeked
// at (SO_PEEK_OFF) and from where it is discarded when acknowledged.
// From the guest, payload goes from the frame into the host socket; it is
// acknowledged once that, or the fixed pool in front of it, has taken it. See docs/ARCHITECTURE.md.
//
// Everything belongs to the event loop goroutine. Nothing allocates after New.
//
// Import level: with udp and icmp, above config.
package tcp

import (
	"log/slog"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

// Options size a Handler. Zero fields take the defaults beside them.
type Options struct {
	// MaxFlows is the number of connections (65536).
	MaxFlows int
	// HeldChunks is the size of the pool for data that a host socket did not
	// take at once, in chunks of 64 KiB (128).
	HeldChunks int
	// Splice carries the connections that bypass the tap. It is needed for
	// listeners in the namespace, and where the configuration has a bypass.
	Splice Splicer
	// GiveWay, if not nil, ends a flow of another protocol that is idle, and tells
	// whether there was one. It is asked when descriptors have run out.
	GiveWay func(now int64) bool

	// noPeekOff does without SO_PEEK_OFF, as kernels before 6.9 have to.
	noPeekOff bool
}

// Handler owns all TCP connections of one guest.
type Handler struct {
	cfg  *config.Config
	nat  *fwd.Map
	link *tap.Link
	loop *loop.Loop
	log  *slog.Logger

	binder    hostsock.Binder
	table     *flow.Table
	conns     []conn
	deadlines *flow.Deadlines
	splice    Splicer
	giveWay   func(now int64) bool
	listeners flow.Slots[listener]
	paused    int64 // when listeners that ran out of descriptors are tried again; 0: none
	fdLimit   hostsock.Limit
	spare     hostsock.Spare

	peekBuf []byte // scratch for payload to the guest
	lazyLen uint32 // acknowledged bytes that may stay on a host socket
	skipLen int    // bytes of peekBuf for skipping, where SO_PEEK_OFF is missing
	pool    pool
	dirty   []uint32 // connections touched in this batch
	backlog []uint32 // readable connections that used up their share of a turn
	soon    []uint32 // connections that acknowledge in the next turn
	due     []uint32 // those that do so in this one
	writing uint32   // connection that out belongs to
	out     sys.Iovecs
	now     int64
	hdr     packet.TCPHeader // scratch
	tx      tap.Tx           // scratch
	limit   ackLimit

	refusedAt, linkDelay int64    // the link's last refusal, and how long it is left alone
	stalled              []uint32 // connections that it refused, until LinkReady
	syn                  synTimers
	rtoMax               int64 // nanoseconds

	// Stats counts events since start.
	Stats Stats
}

// Stats are counters of a Handler.
type Stats struct {
	OutboundOpened, InboundOpened uint64
	ResetByGuest, ResetByHost     uint64
	Retransmits                   uint64 // segments or super-segments sent to the guest again
	Held                          uint64 // bytes that a host socket did not take at once
	Dropped                       uint64 // bytes refused because the pool was full; never acknowledged
	OutOfOrder                    uint64 // segments from the guest beyond a gap
	ChallengeAcks                 uint64
}

const (
	// peekLen is how much one peek reads at most; turnLen counts in it.
	peekLen = 256 << 10
	// maxStalled is how many connections LinkReady remembers. Others come back by
	// timer.
	maxStalled = 1024
	// maxBatch bounds the gather list of one write: payloads of one batch.
	maxBatch = 64
)

// New makes a handler. It probes the kernel for SO_PEEK_OFF on TCP (Linux 6.9).
func New(cfg *config.Config, nat *fwd.Map, link *tap.Link, lp *loop.Loop, log *slog.Logger, o Options) *Handler {
	if o.MaxFlows == 0 {
		o.MaxFlows = 1 << 16
	}
	if o.HeldChunks == 0 {
		o.HeldChunks = 128
	}
	h := &Handler{
		cfg: cfg, nat: nat, link: link, loop: lp, log: log, splice: o.Splice, giveWay: o.GiveWay,
		binder:    hostsock.NewBinder(nat, log, "TCP"),
		fdLimit:   hostsock.ConnLimit(),
		table:     flow.NewTable(o.MaxFlows),
		deadlines: flow.NewDeadlines(o.MaxFlows),
		stalled:   make([]uint32, 0, maxStalled),
		writing:   flow.None,
		out:       sys.NewIovecs(maxBatch),
	}
	h.spare = hostsock.NewSpare(h.fdLimit)
	h.conns, h.pool = sys.Slab[conn](h, o.MaxFlows), newPool(h, o.HeldChunks)
	for _, list := range []*[]uint32{&h.dirty, &h.backlog, &h.soon, &h.due} {
		*list = sys.Slab[uint32](h, o.MaxFlows)[:0]
	}
	h.syn = newSynTimers(&cfg.Timeouts)
	if h.rtoMax = int64(cfg.Timeouts.TCPRTOMax); h.rtoMax == 0 {
		h.rtoMax = rtoMaxDefault
	}
	if o.noPeekOff || !sys.HavePeekOff() {
		h.skipLen = maxInFlight
	}
	h.lazyLen = lazyDiscard()
	h.peekBuf = sys.Slab[byte](h, h.skipLen+peekLen)
	return h
}

// Len is the number of connections, those in TIME-WAIT included.
func (h *Handler) Len() int { return h.table.Len() }

// touch puts connection i on the list of those that Flush looks at.
func (h *Handler) touch(i uint32, c *conn) {
	if !c.has(dirty) {
		c.set(dirty)
		h.dirty = append(h.dirty, i)
	}
}

// Flush ends a batch of frames: writes what is pending to host sockets, and for
// each connection touched takes acknowledged bytes off its socket, sends what the
// guest's window now allows, and acknowledges.
func (h *Handler) Flush(now int64) {
	h.now = now
	h.flushWrite()
	for len(h.dirty) > 0 { // settling may touch more
		last := len(h.dirty) - 1
		i := h.dirty[last]
		h.dirty = h.dirty[:last]
		c := &h.conns[i]
		if !c.has(dirty) { // its slot was freed, and perhaps used again
			continue
		}
		c.clear(dirty)
		h.settle(i, c)
	}
}

// settle brings one connection up to date after events.
func (h *Handler) settle(i uint32, c *conn) {
	if h.discardDue(c) && !h.discard(i, c) {
		return
	}
	if c.has(resend) && !h.resendFirst(i, c) {
		return
	}
	if h.mayTransmit(c) && !h.toGuest(i, c) {
		return
	}
	if c.has(hostErr) && !c.owesGuest() && !h.hostStands(i, c) {
		return
	}
	if c.has(ackNow) {
		h.acknowledge(i, c)
	}
	h.schedule(i, c)
}

// FromSock handles an event of a host socket.
func (h *Handler) FromSock(i uint32, gen uint16, bits uint32, now int64) {
	if !h.table.Valid(i, gen) {
		return
	}
	h.now = now
	c := &h.conns[i]
	if c.fd < 0 {
		return
	}
	c.note(bits)
	if c.state == connecting {
		h.connected(i, c, bits)
		return
	}
	if bits&loop.Out != 0 && !h.fromSockOut(i, c) {
		return
	}
	h.touch(i, c)
}

// note remembers what an event of the host socket says. With edges it is said once.
func (c *conn) note(bits uint32) {
	if bits&(loop.In|loop.Rdh|loop.Hup|loop.Err) != 0 {
		c.set(readable)
	}
	if bits&(loop.Rdh|loop.Hup|loop.Err) != 0 {
		c.set(hostEOF)
	}
	if bits&loop.Err != 0 {
		c.set(hostErr)
	}
	if bits&loop.Pri != 0 {
		c.set(urgent)
	}
}

// Backlog tells whether connections wait for the next turn, for their share of it or to
// acknowledge; the engine then polls instead of sleeping and calls RunBacklog.
func (h *Handler) Backlog() bool { return len(h.backlog) > 0 || len(h.due) > 0 }

// RunBacklog gives each connection in the backlog another share, and acknowledges what
// the last turn left for this one.
func (h *Handler) RunBacklog(now int64) {
	h.now = now
	for _, i := range h.backlog {
		if c := &h.conns[i]; c.has(queued) { // else its slot was freed
			c.clear(queued)
			h.touch(i, c)
		}
	}
	h.backlog = h.backlog[:0]
	h.acknowledgeDue()
}

// receiving is for how long more data from the guest is waited for, after some came or
// was asked for by a window.
const receiving = int64(50 * time.Millisecond)

// Receiving tells whether a guest's data is under way: held for a host socket, waiting
// in the guest for room in one, or coming in.
func (h *Handler) Receiving(now int64) (busy bool) {
	h.table.All(func(i uint32) {
		c := &h.conns[i]
		quiet := now - max(c.lastData, c.roomAt)
		busy = busy || c.held > 0 || c.state.takesData() && (c.has(wantOut) || quiet < receiving)
	})
	return busy
}

// Close ends every connection, with RST where the guest has not closed its side,
// and closes all sockets.
func (h *Handler) Close() {
	h.table.All(func(i uint32) {
		if c := &h.conns[i]; c.has(guestFIN) && c.held == 0 {
			h.release(i, c) // the guest has said all: the kernel delivers the rest
		} else {
			h.abort(i, c)
		}
	})
	h.CloseListeners()
	h.spare.Close()
}
