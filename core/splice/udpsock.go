package splice

import (
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// Where the index of a token tells the handler and the side of its flow.
const (
	pifShift  = 31
	sideShift = 30
)

// UDPToken takes apart the index of a token of loop.KindSpliceUDP: which handler, by the
// pif of its listeners, and the index for that.
func UDPToken(index uint32) (pif fwd.Pif, i uint32) {
	return fwd.Pif(index >> pifShift), index &^ (1 << pifShift)
}

// token is that of the socket of side s of flow i.
func (h *UDP) token(i uint32, s int) loop.Token {
	return loop.MakeToken(loop.KindSpliceUDP, h.table.Gen(i), i|uint32(s)<<sideShift|uint32(h.pif)<<pifShift)
}

// FromSock handles an event of a flow's socket. They are level-triggered.
func (h *UDP) FromSock(index uint32, gen uint16, bits uint32, now int64) {
	i, s := index&^(1<<sideShift), int(index>>sideShift)
	if !h.table.Valid(i, gen) {
		return
	}
	fd := int(h.flows[i].fd[s])
	if bits&loop.Err != 0 {
		h.failed(i, s, sys.SocketError(fd))
	}
	for range udpRounds {
		n, errno := h.in.Recv(fd, udpSlots, 0)
		if errno != 0 { // EAGAIN, or what came after SocketError
			h.failed(i, s, errno)
			return
		}
		h.pass(i, s, n, now)
		if n < udpSlots {
			return
		}
	}
}

// pass sends the n datagrams of the batch, which came from side s of flow i, to the
// other one.
func (h *UDP) pass(i uint32, s, n int, now int64) {
	f := &h.flows[i]
	var to *fwd.Client // nil: the socket is connected
	if s == toTarget && f.fd[toClient] < 0 {
		to = &f.client
		h.out.answersTo(to)
	}
	h.out.slot = flow.None
	for m := range n {
		if !f.sent(s, h.in.From(m)) || h.in.Truncated(m) {
			h.Stats.Dropped++
			continue
		}
		var c sys.Control
		h.in.Control(m, &c)
		if !h.out.add(h.in.Payload(m), c.Segment, to) {
			h.deliver(i, 1-s)
			h.out.add(h.in.Payload(m), c.Segment, to)
		}
	}
	if s == toTarget {
		h.uses.Use(i, flow.Answered, now)
	} else {
		h.uses.Again(i, now)
	}
	h.deliver(i, 1-s)
}

// sent tells whether a datagram on the socket of side s comes from that side: others
// may be queued from before the socket was connected.
func (f *udpFlow) sent(s int, from *sys.SockAddr) bool {
	addr, port := from.AddrPort()
	if s == toClient {
		return packet.Addr(addr) == f.client.Addr && port == f.client.AddrPort
	}
	return packet.Addr(addr) == f.target.Addr && port == f.target.Port
}
