package reasm

import "github.com/pasta-net/pasta/core/packet"

// tell sends the guest the ICMP error for a packet that waited in vain for some of its
// fragments (RFC 792, RFC 4443 section 3.3), if the first one came and if such a packet
// may have an error at all (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). There is
// no need to limit the rate: a slot times out once a minute. A refusal by the device
// is in the link's counters.
func (h *Handler) tell(d *partial) {
	if d.first.dataLen == 0 || !d.unicast || d.dst.IsMulticast() || d.dst.IsBroadcast() {
		return
	}
	data := d.buf.data[:d.first.dataLen]
	if !mayHaveError(d.first.proto, data) {
		return
	}
	m := packet.ICMPError{
		Src: d.dst, Dst: d.src, Type: packet.ICMPv6TimeExceeded, Code: packet.ICMPCodeReassembly,
		Peer: d.dst, Proto: d.first.proto,
	}
	if d.src.Is4() {
		m.Type = packet.ICMPTimeExceeded
	}
	// The checksum in there covers what did not come, too: it stays as it is.
	_ = h.link.SendError(&m, data[:unit], data[unit:], -1)
}

// mayHaveError tells whether data, behind an IP header, is no ICMP message, or an echo
// request: others may be errors themselves.
func mayHaveError(proto uint8, data []byte) bool {
	switch proto {
	case packet.ProtoICMP:
		return data[0] == packet.ICMPEchoRequest
	case packet.ProtoICMPv6:
		return data[0] == packet.ICMPv6EchoRequest
	}
	return true
}
