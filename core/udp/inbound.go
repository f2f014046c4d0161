package udp

import (
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

// FromSock handles an event of a flow's own socket.
//
// Sockets are watched level-triggered: an event takes a bounded number of datagrams,
// what is left is reported again in the next turn, after everybody else had
// theirs, and no list of unfinished sockets is needed. A receive that fills
// fewer slots than it has shows that the socket is empty, so nothing is read
// in vain.
func (h *Handler) FromSock(index uint32, gen uint16, bits uint32, now int64) {
	if !h.table.Valid(index, gen) {
		return
	}
	f := &h.flows[index]
	if bits&loop.Err != 0 {
		h.fromErrQueue(f.fd, noIndex, index)
	}
	if bits&loop.In != 0 {
		me := pacedSocket{slot: index, gen: gen}
		h.read(me, f.fd, now)
		h.paceSocket(me, now)
	}
}

// fromPeer takes datagram m of the batch for flow i. A socket may hold some that
// came before it was connected.
func (h *Handler) fromPeer(i uint32, m int, now int64) {
	f := &h.flows[i]
	k := h.table.Key(i)
	var c sys.Control
	h.in.Control(m, &c)
	from, port := h.in.From(m).AddrPort()
	src := k.Peer
	srcPort := k.PeerPort
	switch {
	case f.open:
		ok := false
		if src, ok = h.nat.GuestSource(from); !ok || toGroup(&c) || forged(from, &c) {
			h.Stats.HostDrops[packet.DropAddress]++
			return
		}
		srcPort = port
	case from != f.host || port != f.hostPort:
		h.Stats.HostDrops[packet.DropNoFlow]++
		return
	}
	h.uses.Use(i, flow.Answered, now)
	h.toTap(i, src, srcPort, m, c.Segment)
}

// toGroup tells whether a datagram was sent to a multicast or broadcast address.
// Such may be the guest's own, and none is ours to answer.
func toGroup(c *sys.Control) bool {
	dst := packet.Addr(c.Dst)
	return group(dst) || dst.Is4() && c.Local != [16]byte{} && c.Local != c.Dst
}

// gather collects datagrams of equal size for one super-frame.
type gather struct {
	slot    uint32 // flow; what is below is valid if count is not zero
	src     packet.Addr
	srcPort uint16
	segment int
	count   int
	// payload is in a receive slot, or in stage when it came in several pieces.
	payload []byte
	stage   []byte
}

func (g *gather) init() { g.stage = make([]byte, maxRun) }

// takes tells whether n bytes in datagrams of segment bytes may join.
func (g *gather) takes(slot uint32, src packet.Addr, port uint16, n, segment int) bool {
	return g.count > 0 && g.slot == slot && g.srcPort == port && g.src == src &&
		joins(len(g.payload), g.segment, n, segment)
}

// add joins one more piece.
func (g *gather) add(b []byte) {
	used := len(g.payload)
	if g.count == 1 {
		copy(g.stage, g.payload)
	}
	copy(g.stage[used:], b)
	g.payload = g.stage[:used+len(b)]
	g.count++
}

// toTap hands datagram m of the batch, which the kernel may have joined from
// several of segment bytes, to the guest.
func (h *Handler) toTap(i uint32, src packet.Addr, srcPort uint16, m, segment int) {
	if h.in.Truncated(m) {
		h.Stats.HostDrops[packet.DropShort]++
		return
	}
	b := h.in.Payload(m)
	if segment == 0 || segment > len(b) {
		segment = len(b)
	}
	g := &h.gather
	for {
		n := min(len(b), maxSegments*segment)
		if g.takes(i, src, srcPort, n, segment) {
			g.add(b[:n])
		} else {
			h.flushGather()
			g.slot, g.src, g.srcPort, g.segment, g.count, g.payload = i, src, srcPort, segment, 1, b[:n]
		}
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
}

// flushGather sends what is gathered. It must run before the receive slots are
// used again.
func (h *Handler) flushGather() {
	g := &h.gather
	if g.count == 0 {
		return
	}
	g.count = 0
	k := h.table.Key(g.slot)
	ip := packet.IPHeader{
		Src: g.src, Dst: k.Guest, Proto: packet.ProtoUDP, TTL: packet.DefaultTTL,
		PayloadLen: packet.UDPLen + len(g.payload),
	}
	b := h.link.Headers()
	n := packet.PutIP(b, &ip)
	packet.PutUDP(b[n:], g.srcPort, k.GuestPort, len(g.payload))
	tx := tap.Tx{HdrLen: n + packet.UDPLen, IPLen: n, CsumOff: packet.UDPCsumOff, Fragment: true}
	if len(g.payload) > g.segment {
		tx.GSO, tx.GSOSize = packet.GSOUDP, g.segment
	}
	sent, errno := h.link.Send(&tx, g.payload)
	total := max(1, segments(len(g.payload), g.segment))
	if errno != 0 {
		lost := max(1, segments(len(g.payload)-sent, g.segment))
		h.Stats.HostDrops[packet.DropQueueFull] += uint64(lost)
		total -= lost
	}
	h.Stats.ToGuest += uint64(total)
	h.Stats.Frames++
}
