package icmp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// noSeq is no sequence number.
const noSeq = int32(-1)

// state is what a flow has beside its key. It holds no pointer.
type state struct {
	host packet.Addr // that the guest's destination stands for
	fd   int
	// replied is the sequence number answered last. The host's loopback may
	// show us a reply twice, which the guest must not see.
	replied int32
}

// open starts a flow from the guest; flow.None with the reason if that is impossible.
func (h *Handler) open(k *flow.Key, now int64) (uint32, packet.Drop) {
	proto := uint8(packet.ProtoICMP)
	if !k.Peer.Is4() {
		proto = packet.ProtoICMPv6
	}
	host, ok := h.nat.Outbound(proto, k.Peer, 0)
	if !ok {
		return flow.None, packet.DropAddress
	}
	i := h.insert(k)
	if i == flow.None {
		return flow.None, packet.DropTableFull
	}
	h.flows[i] = state{host: host, fd: -1, replied: noSeq}
	if errno := h.openSocket(i, k.GuestPort); errno != 0 {
		if h.flows[i].fd >= 0 {
			h.unreachable(i, nil, errno)
		}
		h.close(i)
		return flow.None, packet.DropNoSocket
	}
	h.uses.Use(i, flow.Unanswered, now)
	h.Stats.Flows++
	return i, packet.DropNone
}

// insert takes a slot for k. If none is free, an older flow goes: a sweep over many
// addresses must not keep later pings out.
func (h *Handler) insert(k *flow.Key) uint32 {
	if h.table.Len() == h.table.Cap() {
		h.Recycle()
	}
	return h.table.Insert(k)
}

// Sockets is the number of flows that have a socket.
func (h *Handler) Sockets() int { return h.uses.Len(flow.Unanswered) + h.uses.Len(flow.Answered) }

// Recycle ends the flow that is missed least, for a new one.
func (h *Handler) Recycle() bool { return h.recycle(h.uses.LeastUseful()) }

// GiveWay ends a flow that is unused for a while, and tells whether there was one. It is
// for whoever needs a descriptor when there are none left.
func (h *Handler) GiveWay(now int64) bool { return h.recycle(h.uses.Spare(now)) }

// recycle ends flow i if it is one, and tells whether it is.
func (h *Handler) recycle(i uint32) bool {
	if i == flow.None {
		return false
	}
	h.close(i)
	h.Stats.Recycled++
	return true
}

// openSocket gives flow i a ping socket, watched by the loop.
func (h *Handler) openSocket(i uint32, id uint16) syscall.Errno {
	f := &h.flows[i]
	family, proto := sys.Family(f.host), packet.ProtoICMP
	if family == syscall.AF_INET6 {
		proto = packet.ProtoICMPv6
	}
	fd, errno := h.share.Socket(h, family, proto)
	if errno == syscall.EACCES {
		h.forbidden()
	}
	if errno != 0 {
		return errno
	}
	f.fd = fd
	_ = sys.SetRecvErr(fd, family)
	// Ping sockets share identifiers by default, and replies would go to any one
	// of those that do.
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
	if f.host.IsBroadcast() {
		_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1)
	}
	scope := h.nat.OutboundScope(f.host)
	h.bind(f, id, scope)
	to := sys.MakeSockAddr(f.host, 0, scope)
	if errno := sys.Connect(fd, &to); errno != 0 {
		return errno
	}
	return h.lp.Add(fd, loop.In, loop.MakeToken(loop.KindICMP, h.table.Gen(i), i))
}

// bind asks for the guest's identifier, or if another flow has it for one of the
// kernel's, and for the configured source.
func (h *Handler) bind(f *state, id uint16, scope uint32) {
	h.binder.Device(f.fd, f.host)
	if h.binder.Port(f.fd, f.host, id, scope) != 0 {
		h.binder.Addr(f.fd, f.host, scope)
	}
}

// forbidden tells the user, once, that sockets for echo are not permitted.
func (h *Handler) forbidden() {
	if h.warned {
		return
	}
	h.warned = true
	h.log.Warn("open ping socket: permission denied")
	h.log.Warn("echo requests of the guest are dropped until our group is in the range of")
	h.log.Warn("the sysctl net.ipv4.ping_group_range, as with: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"")
}

// close ends flow i.
func (h *Handler) close(i uint32) {
	if f := &h.flows[i]; f.fd >= 0 {
		sys.Close(f.fd) // leaves epoll by itself
		f.fd = -1
	}
	h.uses.Remove(i)
	h.table.Remove(i)
}
