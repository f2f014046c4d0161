package tcp

import (
	"fmt"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// acceptBatch bounds how many connections one event takes.
	acceptBatch = 32
	// listenPause is how long a listener rests when descriptors or slots ran out;
	// it is level-triggered and would spin otherwise.
	listenPause = int64(100 * time.Millisecond)
	// crowdedWithin is how closely connections follow each other where a batch pays.
	// An accept in vain costs the kernel a socket and a file (make bench, crr-in).
	crowdedWithin = int64(50 * time.Microsecond)
)

type listener struct {
	config.Listener
	paused   bool
	last     int64 // when it was ready last
	accepted bool  // whether anything was, ever
	inherits bool  // what it accepts is prepared for peeking, as it is itself
}

// AddListener starts accepting on l.FD, a listening socket that now belongs to h.
// On error it stays the caller's.
func (h *Handler) AddListener(l config.Listener) error {
	setUp(l.FD)
	h.startPeeking(l.FD)
	i, gen, slot := h.listeners.Add(l.FD)
	if errno := h.loop.Add(l.FD, loop.In, loop.MakeToken(loop.KindTCPListen, gen, i)); errno != 0 {
		h.listeners.Remove(i)
		return fmt.Errorf("watch listener of port %d: %w", l.Port, errno)
	}
	*slot = listener{Listener: l}
	return nil
}

// RemoveListener closes the listener with the socket fd, if there is one. Its
// connections stay.
func (h *Handler) RemoveListener(fd int) {
	if i, ok := h.listeners.Find(fd); ok {
		h.listeners.Remove(i)
		sys.Close(fd) // leaves epoll by itself
	}
}

// CloseListeners closes all listeners; connections go on.
func (h *Handler) CloseListeners() {
	h.listeners.All(func(_ uint32, fd int) { h.RemoveListener(fd) })
}

// FromListener accepts connections waiting at listener i with generation gen, and
// tells how many at least it told the guest of.
func (h *Handler) FromListener(i uint32, gen uint16, now int64) (opened int) {
	l := h.listeners.At(i, gen)
	if l == nil {
		return 0
	}
	h.now = now
	before := h.Stats.InboundOpened
	h.acceptFrom(i, l)
	return int(h.Stats.InboundOpened - before)
}

// acceptFrom accepts connections waiting at l: one, or a batch where they crowd.
func (h *Handler) acceptFrom(i uint32, l *listener) {
	batch := 1
	if h.now-l.last < crowdedWithin {
		batch = acceptBatch
	}
	l.last = h.now
	for range batch {
		if l.Pif == fwd.Host && h.table.Len() == h.table.Cap() || !h.ready() {
			h.pause(i, l)
			return
		}
		var peer sys.SockAddr
		fd, errno := sys.Accept(l.FD, &peer)
		if h.madeRoom(errno) {
			fd, errno = sys.Accept(l.FD, &peer)
		}
		switch errno {
		case 0:
			low := h.spare.Fit(fd)
			h.accepted(l, low, &peer)
			if low != fd { // the last one for now: a bypass would need a second
				h.pause(i, l)
				return
			}
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
			h.pause(i, l)
			return
		case syscall.ECONNABORTED, syscall.EINTR:
		default:
			return
		}
	}
}

// ready tells whether there is a descriptor for one more accepted connection.
func (h *Handler) ready() bool {
	return h.spare.Ready() || h.giveWay != nil && h.giveWay(h.now) && h.spare.Ready()
}

func (h *Handler) pause(i uint32, l *listener) {
	l.paused = true
	h.watchListener(i, l, 0)
	if h.paused == 0 {
		h.paused = h.now + listenPause
	}
}

// resume lets paused listeners try again.
func (h *Handler) resume() {
	h.paused = 0
	h.listeners.All(func(i uint32, _ int) {
		if l := h.listeners.Value(i); l.paused {
			l.paused = false
			h.watchListener(i, l, loop.In)
		}
	})
}

func (h *Handler) watchListener(i uint32, l *listener, bits uint32) {
	_ = h.loop.Mod(l.FD, bits, loop.MakeToken(loop.KindTCPListen, h.listeners.Gen(i), i))
}

// accepted starts an inbound connection: SYN to the guest, from the client's
// address where the guest can answer that.
func (h *Handler) accepted(l *listener, fd int, peer *sys.SockAddr) {
	addr, port := peer.AddrPort()
	if h.divert(l, fd, addr, port) {
		return
	}
	key := flow.Key{GuestPort: l.TargetPort(), PeerPort: port}
	var ok bool
	if key.Peer, ok = h.nat.GuestSource(packet.Addr(addr)); ok {
		key.Guest = h.nat.GuestAddr(key.Peer, packet.AddrFrom(l.Rule.TargetAddr))
	}
	if !ok || key.Guest.IsZero() || key.Guest.Is4() != key.Peer.Is4() || !h.freeKey(&key) {
		resetClose(fd)
		return
	}
	h.inheritPeeking(l, fd)
	i := h.insert(&key, fd, synSent)
	c := &h.conns[i]
	c.set(scaled)
	c.rcvShift = maxShift
	h.beginHandshake(i, c)
	h.Stats.InboundOpened++
	h.watch(i, c)
}

// inheritPeeking prepares the accepted connection fd for peeking, if it did not
// inherit that from the listener. What kernels promise of it is not written down, so
// the first connection is asked.
func (h *Handler) inheritPeeking(l *listener, fd int) {
	if !l.accepted {
		l.accepted, l.inherits = true, h.peeks(fd)
	}
	if !l.inherits {
		h.startPeeking(fd)
	}
}

// freeKey tells whether no connection is in the way of key; one in TIME-WAIT
// makes room.
func (h *Handler) freeKey(key *flow.Key) bool {
	i := h.table.Lookup(key)
	if i == flow.None {
		return true
	}
	if c := &h.conns[i]; c.state == timeWait && c.held == 0 {
		h.release(i, c)
		return true
	}
	return false
}

// inSynSent handles the guest's answer to our SYN (RFC 9293 section 3.10.7.3).
func (h *Handler) inSynSent(i uint32, c *conn, t packet.TCP) {
	fl := t.Flags()
	if fl&packet.ACK != 0 && t.Ack() != c.sndMax {
		if fl&packet.RST == 0 {
			h.resetStray(i, t)
		}
		return
	}
	switch {
	case fl&packet.RST != 0:
		if fl&packet.ACK != 0 {
			h.Stats.ResetByGuest++
			h.abort(i, c)
		}
	case fl&packet.SYN != 0:
		h.synAnswered(i, c, t)
	}
}

// synAnswered handles the guest's SYN in SYN-SENT.
func (h *Handler) synAnswered(i uint32, c *conn, t packet.TCP) {
	h.guestSYN(i, c, t)
	c.rcvAdv = c.rcvNxt.Add(initialWindow)
	if t.Flags()&packet.ACK == 0 { // both opened at the same time
		c.state = synRcvd
		h.sendSyn(i, c)
		return
	}
	h.establish(i, c, t)
	h.acknowledgeSoon(i, c) // if the client does not speak first
}
