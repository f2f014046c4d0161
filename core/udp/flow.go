package udp

import (
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

// The classes of flows in Handler.uses. flow.Unanswered and flow.Answered are those of
// flows with a socket, these are of clients of a listener.
const (
	// strangers were not answered by the guest.
	strangers = flow.Answered + 1 + iota
	known
	numClasses
)

// insert takes a slot for k, or gives flow.None if there is none.
func (h *Handler) insert(k *flow.Key) uint32 {
	i := h.table.Insert(k)
	if i == flow.None {
		return flow.None
	}
	h.flows[i] = state{
		fd: -1, listener: noIndex, hostSlot: flow.None, pendHead: noIndex, pendTail: noIndex,
	}
	h.Stats.Flows++
	return i
}

// insertOwn is insert for a new flow of the guest. If the table is full it takes the
// place of a stranger's, or of one of the kind that has more of the table.
func (h *Handler) insertOwn(k *flow.Key) uint32 {
	if h.full() && !h.recycle(h.uses.Oldest(strangers)) {
		if h.Sockets() >= h.table.Cap()/2 {
			h.Recycle()
		} else {
			h.recycle(h.uses.Oldest(known))
		}
	}
	return h.insert(k)
}

// insertStranger is insert for a new client. Whoever can reach a forward makes such
// flows at will, from made-up sources, so as long as the guest does not answer
// they take at most half of the table, and none from the guest's own that are in use.
func (h *Handler) insertStranger(k *flow.Key, now int64) uint32 {
	switch {
	case h.uses.Len(strangers) >= max(1, h.table.Cap()/2):
		h.recycle(h.uses.Oldest(strangers))
	case h.full() && !h.recycle(h.uses.LeastUsefulOf(strangers, known)):
		h.GiveWay(now)
	}
	i := h.insert(k)
	if i != flow.None {
		h.uses.Use(i, strangers, now)
	}
	return i
}

func (h *Handler) full() bool { return h.table.Len() == h.table.Cap() }

// Sockets is the number of flows that have a socket of their own.
func (h *Handler) Sockets() int { return h.uses.Len(flow.Unanswered) + h.uses.Len(flow.Answered) }

// Recycle ends the flow with a socket that is missed least, for a new one.
func (h *Handler) Recycle() bool { return h.recycle(h.uses.LeastUseful()) }

// GiveWay ends a flow with a socket that is unused for a while, and tells whether there
// was one. It is for whoever needs a descriptor when there are none left.
func (h *Handler) GiveWay(now int64) bool { return h.recycle(h.uses.Spare(now)) }

// recycle ends flow i if it is one, and tells whether it is.
func (h *Handler) recycle(i uint32) bool {
	if i == flow.None {
		return false
	}
	h.send(i)
	h.close(i)
	h.Stats.Recycled++
	return true
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
	h.uses.Remove(i)
	h.table.Remove(i)
}

// lookup finds the slot of k.
func (h *Handler) lookup(k *flow.Key) uint32 {
	if h.recent != flow.None && *h.table.Key(h.recent) == *k {
		return h.recent
	}
	return h.table.Lookup(k)
}
