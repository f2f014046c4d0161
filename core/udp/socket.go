package udp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// bufferBytes is what sockets ask for as buffers; the kernel grants up to
// net.core.rmem_max and wmem_max. A whole batch of super-frames should fit.
const bufferBytes = 4 << 20

// hostTTLs asks the kernel for the TTL and hop limit of new sockets.
func hostTTLs() (ttl [2]uint8) {
	for i, family := range [2]int{syscall.AF_INET, syscall.AF_INET6} {
		fd, errno := sys.Socket(family, syscall.SOCK_DGRAM, 0)
		if errno != 0 {
			continue
		}
		if v, errno := sys.TTL(fd, family); errno == 0 {
			ttl[i] = uint8(v)
		}
		sys.Close(fd)
	}
	return ttl
}

// target is what a socket of an outbound flow is made for.
type target struct {
	host            packet.Addr
	hostPort, local uint16 // local is the port to bind to, if it is free
	scope           uint32
}

// group tells whether a has many receivers, so that no socket can connect to it.
func group(a packet.Addr) bool { return a.IsMulticast() || a.IsBroadcast() }

// openSocket gives flow i its socket, watched by the loop.
func (h *Handler) openSocket(i uint32, t *target) syscall.Errno {
	family := sys.Family(t.host)
	fd, errno := h.share.Socket(h, family, 0)
	if errno != 0 {
		return errno
	}
	f := &h.flows[i]
	f.fd, f.host, f.hostPort, f.scope = fd, t.host, t.hostPort, t.scope
	f.ttl = h.ttl[familyIndex(t.host)]
	prepare(fd, family)
	if errno := h.attach(i, t, family); errno != 0 {
		return errno
	}
	return h.lp.Add(fd, loop.In, loop.MakeToken(loop.KindUDP, h.table.Gen(i), i))
}

func familyIndex(a packet.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// prepare sets the options of any socket here. Kernels without one of them do
// without the effect.
func prepare(fd, family int) {
	_ = sys.SetRecvErr(fd, family)
	_ = sys.SetUDPGRO(fd)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, bufferBytes)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, bufferBytes)
}

// attach binds the socket of flow i and connects it if its destination allows.
func (h *Handler) attach(i uint32, t *target, family int) syscall.Errno {
	f := &h.flows[i]
	if group(t.host) {
		h.makeOpen(f, family)
	}
	own := h.bind(i, t)
	if f.open {
		return 0
	}
	to := sys.MakeSockAddr(t.host, t.hostPort, t.scope)
	errno := sys.Connect(f.fd, &to)
	if errno == syscall.EACCES && t.host.Is4() { // the broadcast address of a subnet, or prohibited
		h.makeOpen(f, family)
		return 0
	}
	if errno == 0 && (!own || t.local == t.hostPort) && sys.SelfConnected(f.fd, &to) {
		if t.local == 0 {
			return syscall.ECONNREFUSED
		}
		return h.reopen(i, t, family)
	}
	return errno
}

// makeOpen makes f bound only: it sends to a group and hears from anybody, but
// not what is sent to groups, its own datagrams among that.
func (h *Handler) makeOpen(f *state, family int) {
	f.open = true
	_ = sys.SetInt(f.fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1)
	_ = sys.SetMulticastAll(f.fd, family, false)
	_ = sys.SetPktInfo(f.fd, family)
}

// reopen replaces the socket of flow i by one with a port of the kernel's choice.
func (h *Handler) reopen(i uint32, t *target, family int) syscall.Errno {
	f := &h.flows[i]
	sys.Close(f.fd)
	fd, errno := h.share.Socket(h, family, 0)
	if errno != 0 {
		f.fd = -1
		return errno
	}
	f.fd = fd
	h.forgetHostSide(f)
	prepare(fd, family)
	other := *t
	other.local = 0
	return h.attach(i, &other, family)
}

// bind binds to the guest's port if it is free, and to what the configuration
// says about sources. It tells whether the port is the guest's.
func (h *Handler) bind(i uint32, t *target) (own bool) {
	f := &h.flows[i]
	h.binder.Device(f.fd, t.host)
	own = t.local != 0 && h.bindPort(i, t)
	if !own {
		h.binder.Addr(f.fd, t.host, t.scope)
	}
	return own
}

// bindPort binds flow i to port t.local and tells whether that worked.
func (h *Handler) bindPort(i uint32, t *target) bool {
	f := &h.flows[i]
	if !f.open {
		k := hostKey(t.host, t.hostPort, t.local)
		if h.hostSide.Lookup(&k) != flow.None {
			return false
		}
		if f.hostSlot = h.hostSide.Insert(&k); f.hostSlot == flow.None {
			return false
		}
		// Shared among connected sockets only: an open one would take datagrams
		// that are meant for other sockets of the host.
		_ = sys.SetInt(f.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if h.binder.Port(f.fd, t.host, t.local, t.scope) == 0 {
		return true
	}
	h.forgetHostSide(f)
	_ = sys.SetInt(f.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
	return false
}

// forgetHostSide frees the host side of f for other flows.
func (h *Handler) forgetHostSide(f *state) {
	if f.hostSlot != flow.None {
		h.hostSide.Remove(f.hostSlot)
		f.hostSlot = flow.None
	}
}
