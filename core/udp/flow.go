package udp

import (
	"math"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// noIndex ends a chain of pending datagrams and stands for "no listener".
const noIndex = int32(-1)

// state is what a flow has beside its key. It holds no pointer.
type state struct {
	// host and hostPort are the endpoint on the host side: destination of an
	// outbound flow, client of an inbound one.
	host     packet.Addr
	hostPort uint16
	// fd is the flow's own socket. Inbound flows use their listener's while it
	// is there.
	fd       int
	listener int32 // index, or noIndex if fd is used
	// local and ifIndex are where the client of an inbound flow sent to; scope
	// belongs to host.
	local          packet.Addr
	scope, ifIndex uint32
	hostSlot       uint32 // in Handler.hostSide, or flow.None

	last    int64 // loop time of the last datagram, either way
	replied bool  // there was one in each direction
	// open sockets are bound only, because their destination is a group: they
	// take datagrams from anybody.
	open bool
	ttl  uint8 // that the socket has
	// segLimit is the size of datagrams from which on the route does not
	// take UDP_SEGMENT. Zero: never.
	segLimit int
	pace     pace

	pendHead, pendTail int32 // in Handler.pending, or noIndex
}

// hostKey identifies an outbound flow by its host side. Sockets of different
// flows share the guest's port (as long as it is free) so that the guest has one
// port on the host whatever it talks to, which peer-to-peer protocols count on
// (RFC 4787 section 4.1); two with the same peer could not be told apart.
func hostKey(host packet.Addr, hostPort, localPort uint16) flow.Key {
	return flow.Key{Peer: host, PeerPort: hostPort, GuestPort: localPort}
}

// insert takes a slot for k, recycling an idle flow or a stranger's if need be;
// flow.None if all are busy.
func (h *Handler) insert(k *flow.Key, now int64) uint32 {
	i := h.table.Insert(k)
	if i == flow.None && (h.recycle(now) || h.dropStranger()) {
		i = h.table.Insert(k)
	}
	if i == flow.None {
		return flow.None
	}
	h.flows[i] = state{
		fd: -1, listener: noIndex, hostSlot: flow.None, last: now,
		pendHead: noIndex, pendTail: noIndex,
	}
	h.deadlines.Set(i, h.due(i))
	h.Stats.Flows++
	return i
}

// close ends flow i. Datagrams that are pending for it are forgotten.
func (h *Handler) close(i uint32) {
	f := &h.flows[i]
	if f.fd >= 0 {
		sys.Close(f.fd) // leaves epoll by itself
		f.fd = -1
	}
	if f.listener != noIndex {
		h.listeners.Value(uint32(f.listener)).flows--
	}
	h.forgetHostSide(f)
	f.pendHead, f.pendTail = noIndex, noIndex
	if h.recent == i {
		h.recent = flow.None
	}
	h.deadlines.Clear(i)
	h.strangers.Clear(i)
	h.table.Remove(i)
}

const (
	// recycleTries bounds the search for an idle flow.
	recycleTries = 16
	// recycleIdle is how long a flow must have been idle to be recycled, in
	// nanoseconds: less, and a flood of new flows would end all others.
	recycleIdle = int64(5e9)
)

// recycle ends a flow that is idle and tells whether it found one.
func (h *Handler) recycle(now int64) bool { return h.endIdle(now, false) }

// GiveWay ends an idle flow that has a socket of its own, and tells whether there was
// one. It is for whoever needs a descriptor when there are none left.
func (h *Handler) GiveWay(now int64) bool { return h.endIdle(now, true) }

// endIdle ends one of the first flows in the order of deadlines that are idle, and have a
// socket of their own if one is wanted. Others are passed over: deadlines lag behind
// the traffic, and flows that were answered, whose deadlines are later, may be idle for
// longer than the first.
func (h *Handler) endIdle(now int64, socket bool) (ended bool) {
	var passed [recycleTries]uint32
	n := 0
	for n < recycleTries && !ended {
		at, ok := h.deadlines.Next()
		if !ok {
			break
		}
		i, _ := h.deadlines.Expired(at)
		f := &h.flows[i]
		if ended = now-f.last >= recycleIdle && (f.fd >= 0 || !socket); ended {
			h.deadlines.Set(i, at)
			h.close(i)
			h.Stats.Recycled++
			break
		}
		passed[n] = i
		n++
	}
	for _, i := range passed[:n] {
		h.deadlines.Set(i, h.due(i))
	}
	return ended
}

// insertStranger is insert for a client. Whoever can reach a forward makes such
// flows at will, from made-up sources, so as long as the guest does not answer
// they take at most half of the table: the guest's own flows find room.
func (h *Handler) insertStranger(k *flow.Key, now int64) uint32 {
	if h.strangers.Len() >= max(1, h.table.Cap()/2) {
		h.dropStranger()
	}
	i := h.insert(k, now)
	if i != flow.None {
		h.strangers.Set(i, int64(h.Stats.Flows)) // counts up: the order of beginning
	}
	return i
}

// repliedTo notes that the guest answers the client of flow i.
func (h *Handler) repliedTo(i uint32, f *state) {
	if !f.replied {
		f.replied = true
		h.strangers.Clear(i)
	}
}

// dropStranger ends the oldest of the flows that the guest has not answered, and
// tells whether there was one. Little is lost: the client's next datagram makes
// the same flow again.
func (h *Handler) dropStranger() bool {
	i, ok := h.strangers.Expired(math.MaxInt64)
	if ok {
		h.close(i)
		h.Stats.Recycled++
	}
	return ok
}

// lookup finds the slot of k.
func (h *Handler) lookup(k *flow.Key) uint32 {
	if h.recent != flow.None && *h.table.Key(h.recent) == *k {
		return h.recent
	}
	return h.table.Lookup(k)
}
