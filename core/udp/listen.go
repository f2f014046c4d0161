package udp

import (
	"fmt"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// listener is the bound socket of a forward.
type listener struct {
	fd         int
	family     int // of the socket: AF_INET6 may serve both
	pif        fwd.Pif
	port       uint16
	ifName     string // that the socket is bound to; empty: any
	target     uint16
	targetAddr packet.Addr // zero: the guest's own
	flows      int         // that use the socket
	pace       pace
}

// sockAddr is the client of flow f in the form that the socket of l takes.
func (l *listener) sockAddr(f *state) sys.SockAddr {
	if l.family == sys.Family(f.host) {
		return sys.MakeSockAddr(f.host, f.hostPort, f.scope)
	}
	return sys.MakeSockAddr6(f.host, f.hostPort, f.scope)
}

// AddListener takes over the bound socket of a forward. Its events come to
// FromListener. On error the socket stays the caller's.
func (h *Handler) AddListener(l config.Listener) error {
	var local sys.SockAddr
	if errno := sys.LocalAddr(l.FD, &local); errno != 0 {
		return fmt.Errorf("read address of UDP listener for %v: %w", l.Rule, errno)
	}
	family := local.Family()
	prepare(l.FD, family)
	_ = sys.SetMulticastAll(l.FD, family, false)
	if errno := sys.SetPktInfo(l.FD, family); errno != 0 {
		return fmt.Errorf("ask for packet information on UDP listener for %v: %w", l.Rule, errno)
	}
	i, gen, slot := h.listeners.Add(l.FD)
	if errno := h.lp.Add(l.FD, loop.In, loop.MakeToken(loop.KindUDPListen, gen, i)); errno != 0 {
		h.listeners.Remove(i)
		return fmt.Errorf("watch UDP listener for %v: %w", l.Rule, errno)
	}
	*slot = listener{
		fd: l.FD, family: family, pif: l.Pif, port: l.Port, ifName: l.Rule.IfName,
		target: l.TargetPort(), targetAddr: packet.AddrFrom(l.Rule.TargetAddr),
	}
	return nil
}

// client is one sender of datagrams to a listener.
type client struct {
	addr, local packet.Addr
	port        uint16
	scope       uint32
}

// FromListener handles an event of listener index with generation gen.
func (h *Handler) FromListener(index uint32, gen uint16, bits uint32, now int64) {
	l := h.listeners.At(index, gen)
	if l == nil {
		return
	}
	fd := l.fd
	if bits&loop.Err != 0 {
		h.fromErrQueue(fd, int32(index), flow.None)
	}
	if bits&loop.In != 0 {
		me := pacedSocket{slot: flow.None, listener: int32(index), gen: gen}
		h.read(me, fd, now)
		h.paceSocket(me, now)
	}
}

// fromClients takes the n datagrams of the batch. Mostly one after the other is of
// the same client, which saves finding its flow.
func (h *Handler) fromClients(index int32, n int, now int64) {
	var last client
	slot := flow.None
	for m := range n {
		var c sys.Control
		h.in.Control(m, &c)
		from := h.in.From(m)
		addr, port := from.AddrPort()
		if toGroup(&c) || forged(addr, &c) {
			h.Stats.HostDrops[packet.DropAddress]++
			continue
		}
		who := client{addr: addr, port: port, local: c.Dst, scope: from.Scope()}
		if h.divert(index, &who, m, &c, now) {
			continue
		}
		if slot == flow.None || who != last {
			last = who
			slot = h.inbound(index, &last, now)
		}
		if slot == flow.None {
			continue
		}
		k := h.table.Key(slot)
		h.uses.Again(slot, now)
		h.toTap(slot, k.Peer, k.PeerPort, m, c.Segment)
	}
	if s := h.splice[h.listeners.Value(uint32(index)).pif]; s != nil {
		s.Flush()
	}
}

// inbound finds or starts the flow of a client; flow.None with the reason counted
// if it may have none.
func (h *Handler) inbound(index int32, c *client, now int64) uint32 {
	k, ok := h.inboundKey(index, c)
	if !ok {
		h.Stats.HostDrops[packet.DropAddress]++
		return flow.None
	}
	i := h.table.Lookup(&k)
	if i != flow.None {
		f := &h.flows[i]
		if f.listener == index && f.host == c.addr && f.local == c.local {
			return i
		}
		// The guest cannot tell the two apart: several of the host's addresses
		// show as one. The latest speaker gets the answers.
		h.flushGather()
		h.close(i)
	}
	i = h.newInbound(&k, index, c, now)
	if i == flow.None {
		h.Stats.HostDrops[packet.DropTableFull]++
	}
	return i
}

// inboundKey is how the flow of a client looks to the guest.
func (h *Handler) inboundKey(index int32, c *client) (k flow.Key, ok bool) {
	l := h.listeners.Value(uint32(index))
	src, ok := h.nat.GuestSource(c.addr)
	dst := h.nat.GuestAddr(src, l.targetAddr)
	if !ok || dst.IsZero() || dst.Is4() != src.Is4() || c.port == 0 {
		return flow.Key{}, false
	}
	return flow.Key{Guest: dst, GuestPort: l.target, Peer: src, PeerPort: c.port}, true
}

func (h *Handler) newInbound(k *flow.Key, index int32, c *client, now int64) uint32 {
	h.flushGather() // recycling must not take the flow of what is gathered
	i := h.insertStranger(k, now)
	if i == flow.None {
		return flow.None
	}
	f := &h.flows[i]
	f.listener = index
	h.listeners.Value(uint32(index)).flows++
	f.host, f.hostPort, f.scope = c.addr, c.port, c.scope
	f.local, f.ifIndex = c.local, c.scope
	return i
}
