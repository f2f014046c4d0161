package splice

import (
	"syscall"

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

// connect gives flow i its socket, with the client's port if that is free.
func (h *UDP) connect(i uint32) outcome {
	f := &h.flows[i]
	family := sys.Family(f.target.Addr)
	fd, ok := takeSocket(h.sockets, &f.target, syscall.SOCK_DGRAM)
	switch {
	case !ok:
		return postponed
	case fd < 0:
		return failedToConnect
	}
	f.fd = int32(fd)
	_ = sys.SetUDPGRO(fd)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, udpBuffer)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, udpBuffer)
	if f.client.AddrPort != f.target.Port { // else it might talk to itself
		own := sys.MakeSockAddr(unspecified(family), f.client.AddrPort, 0)
		_ = sys.Bind(fd, &own)
	}
	to := sys.MakeSockAddr(f.target.Addr, f.target.Port, 0)
	if sys.Connect(fd, &to) != 0 {
		return failedToConnect
	}
	index := i | uint32(h.pif)<<pifShift
	if h.loop.Add(fd, loop.In, loop.MakeToken(loop.KindSpliceUDP, h.table.Gen(i), index)) != 0 {
		return failedToConnect
	}
	return connected
}

// pifShift is where the index of a token tells the handler.
const pifShift = 31

// UDPToken takes apart the index of a token of loop.KindSpliceUDP: which handler, by the
// pif of its listeners, and the index for that.
func UDPToken(index uint32) (pif fwd.Pif, i uint32) {
	return fwd.Pif(index >> pifShift), index &^ (1 << pifShift)
}

func unspecified(family int) (a packet.Addr) {
	if family == syscall.AF_INET {
		return packet.AddrFrom4([4]byte{})
	}
	return a
}

// Resume connects flows that waited for sockets, and sends what they held.
func (h *UDP) Resume() {
	for h.waiting.len() > 0 {
		w := h.waiting.first()
		i := w.slot
		if !h.table.Valid(i, w.gen) {
			h.waiting.drop()
			continue
		}
		f := &h.flows[i]
		if f.fd < 0 {
			switch h.connect(i) {
			case postponed:
				return
			case failedToConnect:
				h.close(i)
				continue
			case connected:
			}
		}
		h.Datagram(f.client, f.target, h.waiting.payload(), w.segment, f.last)
		h.Flush()
		h.waiting.drop()
	}
}
