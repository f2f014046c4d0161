package splice

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// udpSlots and udpLen size one batch: the second is the largest that UDP_GRO
	// gives, rounded up.
	udpSlots = 64
	udpLen   = 1 << 16
	// udpRounds bounds how many batches one event is worth, so that a busy flow
	// leaves others their turn.
	udpRounds = 2
	// udpBuffer is what sockets ask for as buffers, in bytes.
	udpBuffer = 4 << 20
	// udpExpire bounds how many flows of each class one call of Expire ends.
	udpExpire = 256
)

// UDPOptions size a UDP handler. Zero fields take the defaults beside them.
type UDPOptions struct {
	// MaxFlows is the number of flows (65536).
	MaxFlows int
	// OneWay ends flows that saw no reply (30 s), Stream those that did (120 s).
	OneWay, Stream time.Duration
}

// UDPStats are event counters of a UDP handler.
type UDPStats struct {
	// Flows counts flows made, ToTarget and ToClient datagrams, Dropped those that
	// went nowhere: no socket, or no room in the receiver. Refused counts errors of
	// targets that clients were told, Recycled flows ended early to make room.
	Flows, ToTarget, ToClient, Dropped, Refused, Recycled uint64
}

// UDP carries the datagrams of the listeners on one pif to sockets on the other: each
// client of a listener has a flow with a socket connected to the target. Answers leave
// through the listener, or once that is closed through a second connected socket.
type UDP struct {
	loop    *loop.Loop
	pif     fwd.Pif // of the listeners
	sockets Sockets
	share   hostsock.Share
	table   *flow.Table
	flows   []udpFlow
	uses    *flow.Recency

	in      *sys.RecvBatch
	out     run
	waiting waitingRoom
	orphans bool // some flow lost its listener and has no socket instead
	refused refusals

	// Stats is for reading between events.
	Stats UDPStats
}

// The sides of a flow, and of a token.
const (
	toClient = iota
	toTarget
)

// udpFlow is what a flow has beside its key.
type udpFlow struct {
	client fwd.Client
	target fwd.Target
	// fd are the connected sockets by side, -1 for none: the target's then waits for
	// one, and the client is served by its listener.
	fd [2]int32
}

// NewUDP makes a handler for listeners on pif. sockets is as for NewTCP.
func NewUDP(lp *loop.Loop, pif fwd.Pif, sockets Sockets, o UDPOptions) *UDP {
	if o.MaxFlows == 0 {
		o.MaxFlows = 1 << 16
	}
	h := &UDP{
		loop: lp, pif: pif, sockets: sockets, share: hostsock.NewShare(hostsock.Bypass),
		table:   flow.NewTable(o.MaxFlows),
		uses:    flow.NewRecency(o.MaxFlows, orDefault(o.OneWay, 30*time.Second), orDefault(o.Stream, 120*time.Second)),
		in:      sys.NewRecvBatch(udpSlots, udpLen),
		out:     newRun(),
		refused: newRefusals(pif, sockets),
	}
	h.flows, h.waiting = sys.Slab[udpFlow](h, o.MaxFlows), newWaitingRoom(h)
	return h
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// Len is the number of flows.
func (h *UDP) Len() int { return h.table.Len() }

// Datagram passes on payload, which is one datagram or, if segment is not zero,
// several of segment bytes. It must stay valid until Flush.
func (h *UDP) Datagram(from fwd.Client, t fwd.Target, payload []byte, segment int, now int64) {
	i := h.find(&from, &t)
	if i == flow.None {
		h.Stats.Dropped++
		return
	}
	if h.flows[i].fd[toTarget] >= 0 {
		h.uses.Again(i, now)
	} else if !h.ready(i, payload, segment, now) {
		return
	}
	if h.out.slot != i {
		h.Flush()
		h.out.slot = i
	}
	if !h.out.add(payload, segment, nil) {
		h.Flush()
		h.out.slot = i
		h.out.add(payload, segment, nil)
	}
}

// ready connects flow i, and tells whether it may send at once: otherwise payload
// waits for a socket, or is dropped.
func (h *UDP) ready(i uint32, payload []byte, segment int, now int64) bool {
	h.Flush() // before descriptors change hands
	switch h.connect(i, now) {
	case connected:
		return true
	case postponed:
		if h.waiting.add(i, h.table.Gen(i), payload, segment) {
			return false
		}
	case failedToConnect:
		h.close(i)
	}
	h.Stats.Dropped++
	return false
}

// Flush sends what Datagram collected.
func (h *UDP) Flush() {
	if h.out.batch.Len() == 0 {
		return
	}
	h.deliver(h.out.slot, toTarget)
}

// deliver sends what is collected to the side s of flow i.
func (h *UDP) deliver(i uint32, s int) {
	f := &h.flows[i]
	fd, count := int(f.fd[s]), &h.Stats.ToTarget
	if s == toClient {
		count = &h.Stats.ToClient
		if fd < 0 {
			fd = f.client.Listener
		}
	}
	sent, lost, errno := h.out.send(fd)
	*count += uint64(sent)
	h.Stats.Dropped += uint64(lost)
	h.failed(i, s, errno)
}

// failed handles an error of the socket to side s of flow i, if errno is one. The flow
// goes on: whoever refuses may be about to start. Nothing can be told to a target.
func (h *UDP) failed(i uint32, s int, errno syscall.Errno) {
	if s == toTarget && errno == syscall.ECONNREFUSED && h.refused.tell(&h.flows[i].client) {
		h.Stats.Refused++
	}
}

// find gives the flow of a client, a new one if need be; flow.None if it can have
// none.
func (h *UDP) find(from *fwd.Client, t *fwd.Target) uint32 {
	k := flow.Key{Guest: from.Addr, GuestPort: from.AddrPort, Peer: from.Local, PeerPort: from.Port}
	if i := h.table.Lookup(&k); i != flow.None {
		if f := &h.flows[i]; f.client == *from && f.target == *t {
			return i
		}
		h.close(i) // of another listener with the same address before
	}
	if h.table.Len() == h.table.Cap() {
		h.Recycle()
	}
	i := h.table.Insert(&k)
	if i == flow.None {
		return flow.None
	}
	h.flows[i] = udpFlow{client: *from, target: *t, fd: [2]int32{-1, -1}}
	h.Stats.Flows++
	return i
}

// close ends flow i.
func (h *UDP) close(i uint32) {
	if h.out.slot == i {
		h.Flush()
	}
	for _, fd := range h.flows[i].fd {
		if fd >= 0 {
			sys.Close(int(fd)) // leaves epoll by itself
		}
	}
	h.uses.Remove(i)
	h.table.Remove(i)
}

// NextDeadline is when Expire is due on the loop's clock, or loop.NoDeadline.
func (h *UDP) NextDeadline() int64 { return h.uses.NextOr(loop.NoDeadline) }

// Expire ends flows that were idle for too long. What exceeds the bound of one call is
// still due afterwards.
func (h *UDP) Expire(now int64) {
	h.uses.Expire(now, udpExpire, h.close)
}

// Sockets is the number of flows that have a socket, or wait for one.
func (h *UDP) Sockets() int { return h.uses.Len(flow.Unanswered) + h.uses.Len(flow.Answered) }

// Recycle ends the flow that is missed least, for a new one.
func (h *UDP) Recycle() bool { return h.recycle(h.uses.LeastUseful()) }

// GiveWay ends a flow that is unused for a while, and tells whether there was one. It is
// for whoever needs a descriptor when there are none left.
func (h *UDP) GiveWay(now int64) bool { return h.recycle(h.uses.Spare(now)) }

// recycle ends flow i if it is one, and tells whether it is.
func (h *UDP) recycle(i uint32) bool {
	if i == flow.None {
		return false
	}
	h.close(i)
	h.Stats.Recycled++
	return true
}

// Close ends all flows.
func (h *UDP) Close() {
	h.table.All(h.close)
	h.refused.close()
}
