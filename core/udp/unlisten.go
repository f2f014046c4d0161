package udp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// RemoveListener closes the listener with the socket fd, if there is one. Its flows
// go on, each with a connected socket of its own on the same port, while the
// kernel refuses other clients.
func (h *Handler) RemoveListener(fd int, now int64) {
	i, ok := h.listeners.Find(fd)
	if !ok {
		return
	}
	l := h.listeners.Value(i)
	h.read(pacedSocket{slot: flow.None, listener: int32(i), gen: h.listeners.Gen(i)}, fd, now)
	h.Flush() // what is pending leaves through the listener
	_ = hostsock.ShareForHeirs(fd)
	if l.flows > 0 {
		h.table.All(func(slot uint32) { h.handOver(slot, int32(i), l, now) })
	}
	if s := h.splice[l.pif]; s != nil {
		s.Unlisten(fd)
	}
	h.listeners.Remove(i)
	sys.Close(fd) // leaves epoll by itself
}

// handOver gives a flow of listener index l a socket of its own, or ends it if
// that fails.
func (h *Handler) handOver(slot uint32, index int32, l *listener, now int64) {
	f := &h.flows[slot]
	if f.listener != index {
		return
	}
	fd, errno := l.connectedTo(f, h.share.Limit(h))
	if errno == 0 {
		errno = h.lp.Add(fd, loop.In, loop.MakeToken(loop.KindUDP, h.table.Gen(slot), slot))
	}
	if errno != 0 {
		if fd >= 0 {
			sys.Close(fd)
		}
		h.close(slot)
		return
	}
	l.flows--
	f.listener, f.fd = noIndex, fd
	f.ttl = h.ttl[familyIndex(f.host)]
	class := flow.Answered
	if h.uses.Class(slot) == strangers {
		class = flow.Unanswered
	}
	h.uses.Use(slot, class, now)
}

// connectedTo makes a socket with the address and port that the client of f sent
// to, connected to that client, within limit. On error it gives the socket too, or -1.
func (l *listener) connectedTo(f *state, limit hostsock.Limit) (fd int, errno syscall.Errno) {
	family := sys.Family(f.host)
	if fd, errno = limit.Check(sys.Socket(family, syscall.SOCK_DGRAM, 0)); errno != 0 {
		return -1, errno
	}
	prepare(fd, family)
	heir := hostsock.Heir{
		Local: f.local, LocalScope: f.ifIndex, Port: l.port, Device: l.ifName,
		Client: f.host, ClientScope: f.scope, ClientPort: f.hostPort,
	}
	return fd, heir.Connect(fd)
}
