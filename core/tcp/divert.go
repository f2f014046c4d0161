package tcp

import (
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// Splicer carries connections without frames.
type Splicer interface {
	// Open takes over the accepted connection fd and connects it to t. now is the
	// loop's clock.
	Open(fd int, t fwd.Target, now int64)
}

// divert keeps a connection accepted from client off the tap if it may not or need
// not go there, and tells whether it did: then it has another owner, or is closed.
func (h *Handler) divert(l *listener, fd int, client packet.Addr, port uint16) bool {
	path, dst := h.nat.Path(l.Pif, client, h.localAddr(l, fd), packet.AddrFrom(l.Rule.TargetAddr))
	switch path {
	case fwd.PathSplice:
		t := fwd.Target{Pif: l.Pif.Other(), Addr: dst, Port: l.TargetPort()}
		if t.Client = h.nat.Shown(client, dst); !t.Client.IsZero() {
			t.ClientPort = port
		}
		h.splice.Open(fd, t, h.now)
	case fwd.PathRefused:
		resetClose(fd)
	case fwd.PathTap:
		return false
	}
	return true
}

// localAddr is the address that the client of the accepted connection fd asked for,
// or the zero Addr where that does not matter.
func (h *Handler) localAddr(l *listener, fd int) packet.Addr {
	if l.Pif == fwd.Host && !h.nat.Bypass.KeepsLoopback() {
		return packet.Addr{}
	}
	var local sys.SockAddr
	if errno := sys.LocalAddr(fd, &local); errno != 0 {
		return packet.Addr{}
	}
	addr, _ := local.AddrPort()
	return addr
}
