package udp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// fromErrQueue passes the ICMP errors of a socket on to the guest. The socket is
// that of flow i, or of a listener, whose errors tell the client that they are about.
func (h *Handler) fromErrQueue(fd int, listener int32, i uint32) {
	for m := range h.inErr.RecvErrors(fd) {
		var c sys.Control
		h.inErr.Control(m, &c)
		slot := i
		if listener != noIndex {
			slot = h.flowOfClient(listener, h.inErr.From(m))
		}
		if c.HasErr && slot != flow.None {
			h.passError(h.table.Key(slot), h.flows[slot].host, &c.Err, h.inErr.Payload(m))
		}
	}
}

// flowOfClient finds the flow of a listener's client.
func (h *Handler) flowOfClient(index int32, to *sys.SockAddr) uint32 {
	addr, port := to.AddrPort()
	k, ok := h.inboundKey(index, &client{addr: addr, port: port})
	if !ok {
		return flow.None
	}
	i := h.table.Lookup(&k)
	if i == flow.None || h.flows[i].listener != index || h.flows[i].host != addr {
		return flow.None
	}
	return i
}

// passError sends the guest an ICMP error about a datagram of flow k that carried
// payload, or started with it. host is the flow's host-side address.
func (h *Handler) passError(k *flow.Key, host packet.Addr, e *sys.ExtendedErr, payload []byte) {
	msg := packet.ICMPError{Dst: k.Guest, Peer: k.Peer, Proto: packet.ProtoUDP}
	if !h.nat.HostError(e, host, &msg) {
		return
	}
	var head [packet.UDPLen]byte
	packet.PutUDP(head[:], k.GuestPort, k.PeerPort, len(payload))
	csumOff := -1
	if !k.Guest.Is4() { // UDP over IPv6 must have a checksum (RFC 8200 section 8.1)
		csumOff = packet.UDPCsumOff
	}
	if errno := h.link.SendError(&msg, head[:], payload, csumOff); errno == 0 {
		h.Stats.HostErrors++
	}
}

// unreachable tells the guest that the host itself could not send its datagram,
// if that is what errno means.
func (h *Handler) unreachable(k *flow.Key, host packet.Addr, payload []byte, errno syscall.Errno) {
	h.passError(k, host, &sys.ExtendedErr{Errno: errno, Origin: sys.OriginLocal}, payload)
}

// FromGuestError handles an ICMP or ICMPv6 packet from the guest and tells
// whether it was an error about a flow of this handler. If the guest refuses
// datagrams, the flow ends: the socket of an outbound flow is closed, so that
// the host's kernel refuses further ones in its turn.
func (h *Handler) FromGuestError(p *packet.Packet) bool {
	m, ok := packet.ParseICMP(p.L4)
	if !ok || !refusal(m, p.Proto) {
		return false
	}
	var q packet.Quoted
	if !packet.ParseQuoted(m, &q) || q.Proto != packet.ProtoUDP {
		return false
	}
	k := flow.Key{Guest: q.Dst, GuestPort: q.DstPort, Peer: q.Src, PeerPort: q.SrcPort}
	i := h.table.Lookup(&k)
	if i == flow.None {
		return false
	}
	h.Stats.GuestErrors++
	h.close(i)
	return true
}

// refusal tells whether m says that its destination does not want datagrams. "Too
// big" and "time exceeded" do not.
func refusal(m packet.ICMP, proto uint8) bool {
	if proto == packet.ProtoICMPv6 {
		return m.Type() == packet.ICMPv6Unreachable
	}
	return m.Type() == packet.ICMPUnreachable && m.Code() != packet.ICMPCodeFragNeeded
}
