package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// outcome is what became of an attempt to connect a flow.
type outcome uint8

const (
	connected outcome = iota
	// postponed until there are sockets.
	postponed
	failedToConnect
)

// connect gives flow i its socket, with the client's port if that is free. Unless that
// fails, the flow counts as used.
func (h *UDP) connect(i uint32, now int64) outcome {
	h.uses.Remove(i) // not to be recycled for itself
	o := h.tryConnect(i)
	if o != failedToConnect {
		h.uses.Use(i, flow.Unanswered, now)
	}
	return o
}

func (h *UDP) tryConnect(i uint32) outcome {
	f := &h.flows[i]
	family := sys.Family(f.target.Addr)
	fd, ok := h.takeSocket(&f.target, family)
	switch {
	case !ok:
		return postponed
	case fd < 0:
		return failedToConnect
	}
	f.fd[toTarget] = int32(fd)
	prepareUDP(fd)
	own := f.client.AddrPort != f.target.Port // else it might talk to itself
	if own {
		addr := sys.MakeSockAddr(unspecified(family), f.client.AddrPort, 0)
		own = sys.Bind(fd, &addr) == 0
	}
	to := sys.MakeSockAddr(f.target.Addr, f.target.Port, 0)
	if sys.Connect(fd, &to) != 0 {
		return failedToConnect
	}
	if !own && sys.SelfConnected(fd, &to) {
		h.failed(i, toTarget, syscall.ECONNREFUSED)
		return failedToConnect
	}
	if h.loop.Add(fd, loop.In, h.token(i, toTarget)) != 0 {
		return failedToConnect
	}
	return connected
}

// takeSocket is takeSocket for a new flow, if need be in place of an older one. Those of
// the namespace are made ahead, so that it is only their number which is bounded here.
func (h *UDP) takeSocket(t *fwd.Target, family int) (fd int, ok bool) {
	if t.Pif == fwd.Splice {
		h.share.MakeRoom(h)
		return takeSocket(h.sockets, t, syscall.SOCK_DGRAM, h.share.Limit(h))
	}
	fd, errno := h.share.Socket(h, family, 0)
	if errno != 0 {
		fd = -1
	}
	return fd, true
}

// prepareUDP sets the options of any socket here. Kernels without one of them do
// without the effect.
func prepareUDP(fd int) {
	_ = sys.SetUDPGRO(fd)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, udpBuffer)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, udpBuffer)
}

func unspecified(family int) (a packet.Addr) {
	if family == syscall.AF_INET {
		return packet.AddrFrom4([4]byte{})
	}
	return a
}

// Resume connects flows that waited for sockets, and sends what they held.
func (h *UDP) Resume(now int64) {
	h.resumeOrphans()
	for h.waiting.len() > 0 {
		w := h.waiting.first()
		i := w.slot
		if !h.table.Valid(i, w.gen) {
			h.waiting.drop()
			continue
		}
		f := &h.flows[i]
		if f.fd[toTarget] < 0 {
			switch h.connect(i, now) {
			case postponed:
				return
			case failedToConnect:
				h.close(i)
				continue
			case connected:
			}
		}
		h.Datagram(f.client, f.target, h.waiting.payload(), w.segment, now)
		h.Flush()
		h.waiting.drop()
	}
}
