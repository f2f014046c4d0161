package icmp

import (
	"encoding/binary"
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// idOff is where an echo message has its identifier.
const idOff = 4

// fromErrQueue passes the ICMP errors that requests of flow i met to the guest.
func (h *Handler) fromErrQueue(i uint32) {
	for m := range h.in.RecvErrors(h.flows[i].fd) {
		var c sys.Control
		h.in.Control(m, &c)
		if c.HasErr {
			h.passError(i, &c.Err, h.in.Payload(m))
		}
	}
}

// unreachable tells the guest that the host itself could not send its request,
// if that is what errno means.
func (h *Handler) unreachable(i uint32, request []byte, errno syscall.Errno) {
	h.passError(i, &sys.ExtendedErr{Errno: errno, Origin: sys.OriginLocal}, request)
}

// passError sends the guest an ICMP error about a request of flow i. request is
// the echo message as far as it is known, with the socket's identifier.
func (h *Handler) passError(i uint32, e *sys.ExtendedErr, request []byte) {
	k := h.table.Key(i)
	msg := packet.ICMPError{Dst: k.Guest, Peer: k.Peer, Proto: packet.ProtoICMPv6}
	typ := uint8(packet.ICMPv6EchoRequest)
	if k.Guest.Is4() {
		msg.Proto, typ = packet.ProtoICMP, packet.ICMPEchoRequest
	}
	if !h.nat.HostError(e, h.flows[i].host, &msg) {
		return
	}
	var head [packet.ICMPLen]byte
	packet.PutICMP(head[:], typ, 0, 0)
	var payload []byte
	if m, ok := packet.ParseICMP(request); ok {
		copy(head[idOff:], m[idOff:packet.ICMPLen])
		payload = m.Payload()
	}
	binary.BigEndian.PutUint16(head[idOff:], k.GuestPort)
	if errno := h.link.SendError(&msg, head[:], payload, packet.ICMPCsumOff); errno == 0 {
		h.Stats.HostErrors++
	}
}
