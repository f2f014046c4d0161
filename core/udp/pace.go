package udp

import (
	"math"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/loop"
)

// A stream that arrives datagram by datagram wakes the loop for each of them, and
// the guest's kernel with it: all the work is in small change, and takes the time
// that the receiving application needs. So a socket that keeps
// reporting at short intervals is no longer watched but read at fixed ones, as
// network cards moderate their interrupts, until it has nothing. A datagram
// the other way ends that too: request and response must not wait.
const (
	paceGap   = int64(100e3) // ns between events that count as a stream
	paceAfter = 16           // so many in a row
	paceEvery = int64(50e3)  // ns between readings
	paceQuiet = 16           // readings without result until the stream is over
	maxPaced  = 64           // sockets
)

// pace is the rhythm of one socket.
type pace struct {
	last   int64 // loop time of the last event
	streak uint8 // events in a row that were close, at most 255
	quiet  uint8 // readings in a row that found nothing
	on     bool  // in Handler.paced
}

// event notes an event and tells whether the socket is a stream by now.
func (p *pace) event(now int64) bool {
	if now-p.last >= paceGap {
		p.streak = 0
	} else if p.streak < math.MaxUint8 {
		p.streak++
	}
	p.last = now
	return p.streak >= paceAfter && !p.on
}

// pacedSocket is a socket that is read at intervals: that of a flow or of a
// listener, with generation gen.
type pacedSocket struct {
	slot     uint32 // flow.None: a listener
	gen      uint16
	listener int32
}

// rhythm gives the socket of s with its token, and nil if it is gone.
func (h *Handler) rhythm(s pacedSocket) (fd int, t loop.Token, p *pace) {
	if s.slot == flow.None {
		l := h.listeners.At(uint32(s.listener), s.gen)
		if l == nil {
			return -1, 0, nil
		}
		return l.fd, loop.MakeToken(loop.KindUDPListen, s.gen, uint32(s.listener)), &l.pace
	}
	if !h.table.Valid(s.slot, s.gen) {
		return -1, 0, nil
	}
	f := &h.flows[s.slot]
	return f.fd, loop.MakeToken(loop.KindUDP, s.gen, s.slot), &f.pace
}

// paceSocket stops watching s if it is a stream and reads it at intervals.
func (h *Handler) paceSocket(s pacedSocket, now int64) {
	fd, t, p := h.rhythm(s)
	if p == nil || !p.event(now) || len(h.paced) == cap(h.paced) {
		return
	}
	if h.lp.Mod(fd, 0, t) != 0 { // errors are reported all the same
		return
	}
	p.on = true
	h.paced = append(h.paced, s)
	h.pollAt = min(h.pollAt, now+paceEvery)
}

// poll reads all paced sockets.
func (h *Handler) poll(now int64) {
	kept := h.paced[:0]
	for _, s := range h.paced {
		fd, t, p := h.rhythm(s)
		if p == nil {
			continue
		}
		p.quiet++
		if h.read(s, fd, now) > 0 {
			p.quiet = 0
		}
		if p.streak > 0 && p.quiet < paceQuiet {
			kept = append(kept, s)
			continue
		}
		*p = pace{last: now}
		_ = h.lp.Mod(fd, loop.In, t) // cannot fail: the socket is registered
	}
	h.paced = kept
	h.pollAt = loop.NoDeadline
	if len(kept) > 0 {
		h.pollAt = now + paceEvery
	}
}

// read takes a bounded number of datagrams from a socket and returns how many.
func (h *Handler) read(s pacedSocket, fd int, now int64) int {
	total := 0
	for range recvRounds {
		n, errno := h.in.Recv(fd, recvSlots, 0)
		h.Stats.Receives++
		if errno != 0 {
			return total // drained, or an error whose details are in the error queue
		}
		h.fromHost(s, n, now)
		h.flushGather()
		total += n
		if n < recvSlots {
			return total
		}
	}
	return total
}

// fromHost hands the n datagrams of the batch on.
func (h *Handler) fromHost(s pacedSocket, n int, now int64) {
	if s.slot == flow.None {
		h.fromClients(s.listener, n, now)
		return
	}
	for m := range n {
		h.fromPeer(s.slot, m, now)
	}
}

// answered notes that flow f was sent something.
func (h *Handler) answered(f *state) {
	if f.listener != noIndex {
		h.listeners.Value(uint32(f.listener)).pace.streak = 0
		return
	}
	f.pace.streak = 0
}
