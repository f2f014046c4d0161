package icmp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

// FromTap takes one ICMP or ICMPv6 packet from the guest. Only echo requests have
// an equivalent on unprivileged sockets.
func (h *Handler) FromTap(p *packet.Packet, now int64) {
	if drop := h.request(p, now); drop != packet.DropNone {
		h.link.Drop(drop)
	}
}

func (h *Handler) request(p *packet.Packet, now int64) packet.Drop {
	m, ok := packet.ParseICMP(p.L4)
	switch {
	case !ok:
		return packet.DropTransport
	case !h.cfg.ICMP || !h.nat.Family(p.Src).Enabled:
		return packet.DropDisabled
	case !isRequest(m, p):
		return packet.DropUnsupported
	case !fwd.ValidSource(p.Src):
		return packet.DropAddress
	case h.nat.Own(p.Dst):
		return h.answer(p, m)
	}
	k := flow.Key{Guest: p.Src, GuestPort: m.ID(), Peer: p.Dst}
	i := h.table.Lookup(&k)
	if i == flow.None {
		var drop packet.Drop
		if i, drop = h.open(&k, now); drop != packet.DropNone {
			return drop
		}
	}
	f := &h.flows[i]
	h.uses.Again(i, now)
	if f.replied == int32(m.Seq()) {
		f.replied = noSeq // the guest repeats itself: another reply is due
	}
	return h.sendRequest(i, m)
}

func isRequest(m packet.ICMP, p *packet.Packet) bool {
	if p.Src.Is4() {
		return p.Proto == packet.ProtoICMP && m.Type() == packet.ICMPEchoRequest && m.Code() == 0
	}
	return p.Proto == packet.ProtoICMPv6 && m.Type() == packet.ICMPv6EchoRequest && m.Code() == 0
}

// sendRequest gives the message to the kernel, which puts in the socket's identifier
// and the checksum. An error may be that of an earlier request, so there is a
// second try.
func (h *Handler) sendRequest(i uint32, m packet.ICMP) packet.Drop {
	f := &h.flows[i]
	_, errno := sys.Send(f.fd, m, syscall.MSG_DONTWAIT)
	if errno != 0 && errno != syscall.EAGAIN {
		_, errno = sys.Send(f.fd, m, syscall.MSG_DONTWAIT)
	}
	switch errno {
	case 0:
		h.Stats.Requests++
		return packet.DropNone
	case syscall.EAGAIN, syscall.ENOBUFS:
		return packet.DropQueueFull
	}
	h.unreachable(i, m, errno)
	return packet.DropNoSocket
}

// FromSock handles an event of a flow's socket. Sockets are level-triggered: what
// does not fit one batch is reported again.
func (h *Handler) FromSock(index uint32, gen uint16, bits uint32, now int64) {
	if !h.table.Valid(index, gen) {
		return
	}
	f := &h.flows[index]
	if bits&loop.Err != 0 {
		h.fromErrQueue(index)
	}
	if bits&loop.In == 0 {
		return
	}
	n, errno := h.in.Recv(f.fd, recvSlots, 0)
	if errno != 0 {
		return
	}
	for i := range n {
		h.reply(index, i, now)
	}
}

// reply takes message n of the batch for flow i.
func (h *Handler) reply(i uint32, n int, now int64) {
	f, k := &h.flows[i], h.table.Key(i)
	m, ok := packet.ParseICMP(h.in.Payload(n))
	if !ok || !isReply(m, k) {
		h.Stats.HostDrops[packet.DropUnsupported]++
		return
	}
	addr, _ := h.in.From(n).AddrPort()
	src, ok := h.source(f, k, addr)
	if !ok {
		h.Stats.HostDrops[packet.DropAddress]++
		return
	}
	unique := !f.host.IsMulticast() // everybody in a group may answer
	if unique && f.replied == int32(m.Seq()) {
		h.Stats.HostDrops[packet.DropNoFlow]++
		return
	}
	f.replied = int32(m.Seq())
	h.uses.Use(i, flow.Answered, now)
	if h.toTap(k, src, m) != packet.DropNone {
		h.Stats.HostDrops[packet.DropQueueFull]++
	}
}

func isReply(m packet.ICMP, k *flow.Key) bool {
	if k.Guest.Is4() {
		return m.Type() == packet.ICMPEchoReply
	}
	return m.Type() == packet.ICMPv6EchoReply
}

// source is the address that a reply from addr has in the guest. A ping socket
// gets replies to its identifier from anybody, connected or not.
func (h *Handler) source(f *state, k *flow.Key, addr packet.Addr) (packet.Addr, bool) {
	if f.host.IsMulticast() || f.host.IsBroadcast() {
		return h.nat.GuestSource(addr)
	}
	return k.Peer, addr == f.host
}

// answer replies to a request to one of our own addresses.
func (h *Handler) answer(p *packet.Packet, m packet.ICMP) packet.Drop {
	k := flow.Key{Guest: p.Src, GuestPort: m.ID()}
	return h.toTap(&k, p.Dst, m)
}

// toTap sends the guest a reply with its identifier, and with sequence number and
// payload of m.
func (h *Handler) toTap(k *flow.Key, src packet.Addr, m packet.ICMP) packet.Drop {
	ip := packet.IPHeader{
		Src: src, Dst: k.Guest, Proto: packet.ProtoICMPv6, TTL: packet.DefaultTTL, PayloadLen: len(m),
	}
	typ := uint8(packet.ICMPv6EchoReply)
	if src.Is4() {
		ip.Proto, typ = packet.ProtoICMP, packet.ICMPEchoReply
	}
	b := h.link.Headers()
	n := packet.PutIP(b, &ip)
	head := b[n:][:packet.ICMPLen]
	packet.PutICMP(head, typ, 0, uint32(k.GuestPort)<<16|uint32(m.Seq()))
	sum := packet.ICMPChecksum(b, head, m.Payload())
	head[packet.ICMPCsumOff], head[packet.ICMPCsumOff+1] = byte(sum>>8), byte(sum)
	tx := tap.Tx{HdrLen: n + packet.ICMPLen, IPLen: n, Fragment: true}
	if _, errno := h.link.Send(&tx, m.Payload()); errno != 0 {
		return packet.DropQueueFull
	}
	h.Stats.Replies++
	return packet.DropNone
}
