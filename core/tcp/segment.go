package tcp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/tap"
)

// maxShift is the window scale that we offer: windows up to 16 MiB.
const maxShift = 8

// headers writes IP and TCP headers for a segment of connection i to the guest
// into the link's header space. h.hdr holds flags, sequence numbers and options.
func (h *Handler) headers(key *[2]packet.Addr, payloadLen int) {
	b := h.link.Headers()
	ip := packet.IPHeader{Src: key[0], Dst: key[1], Proto: packet.ProtoTCP, TTL: packet.DefaultTTL}
	h.tx = tap.Tx{IPLen: ip.IPLen(), CsumOff: packet.TCPCsumOff}
	tcpLen := packet.PutTCP(b[h.tx.IPLen:], &h.hdr)
	h.tx.HdrLen = h.tx.IPLen + tcpLen
	ip.PayloadLen = tcpLen + payloadLen
	if !ip.Src.Is4() {
		ip.Flow = flowLabel(h.hdr.SrcPort, h.hdr.DstPort)
	}
	packet.PutIP(b, &ip)
}

// flowLabel is constant per connection and not zero (RFC 6437 section 3).
func flowLabel(srcPort, dstPort uint16) uint32 {
	return uint32(srcPort)<<4 ^ uint32(dstPort) | 1<<19
}

// send transmits one segment of connection i with payload at seq. It returns how
// much of payload the link took.
func (h *Handler) send(i uint32, c *conn, flags uint8, seq seqnum.Value, payload []byte) (int, syscall.Errno) {
	k := h.table.Key(i)
	h.hdr = packet.TCPHeader{
		SrcPort: k.PeerPort, DstPort: k.GuestPort,
		Seq: seq, Flags: flags,
	}
	edge := c.rcvAdv
	if flags&packet.ACK != 0 {
		h.hdr.Ack = c.rcvNxt
		h.hdr.Window = h.advertise(i, c, flags)
	}
	if flags&packet.SYN != 0 {
		h.hdr.MSS = h.ourMSS(k.Guest.Is4())
		h.hdr.WScale = -1
		if c.has(scaled) {
			h.hdr.WScale = int8(c.rcvShift)
		}
		if flags&packet.ACK == 0 {
			h.hdr.Window = initialWindow
		}
	}
	h.headers(&[2]packet.Addr{k.Peer, k.Guest}, len(payload))
	if len(payload) > int(c.mss) {
		h.tx.GSO, h.tx.GSOSize = packet.GSOTCP, int(c.mss)
	}
	sent, errno := h.link.Send(&h.tx, payload)
	if errno != 0 {
		return sent, errno
	}
	h.linkDelay = 0
	if flags&packet.ACK != 0 {
		if c.lastAck != c.rcvNxt || c.rcvAdv != edge {
			c.lastAck = c.rcvNxt
			h.promised(i, c)
		}
		c.ackAt = 0
		c.clear(ackNow | ackSoon)
	}
	return sent, 0
}

// sendAck sends an empty acknowledgment.
func (h *Handler) sendAck(i uint32, c *conn) {
	_, _ = h.send(i, c, packet.ACK, c.emptySeq(), nil)
}

// sendReset answers a segment that belongs to no connection (RFC 9293 section
// 3.10.7.1), or refuses one.
func (h *Handler) sendReset(p *packet.Packet, t packet.TCP) {
	k := flow.Key{Guest: p.Src, Peer: p.Dst, GuestPort: t.SrcPort(), PeerPort: t.DstPort()}
	if t.Flags()&packet.ACK != 0 {
		h.sendControl(&k, packet.RST, t.Ack(), 0)
	} else {
		h.sendControl(&k, packet.RST|packet.ACK, 0, t.Seq()+segLen(t))
	}
}

// sendControl sends an empty segment of connection k with window zero, whatever the
// state of that connection is.
func (h *Handler) sendControl(k *flow.Key, flags uint8, seq, ack seqnum.Value) {
	h.hdr = packet.TCPHeader{SrcPort: k.PeerPort, DstPort: k.GuestPort, Seq: seq, Ack: ack, Flags: flags}
	h.headers(&[2]packet.Addr{k.Peer, k.Guest}, 0)
	_, _ = h.link.Send(&h.tx, nil)
}

// segLen is the number of sequence numbers that t takes.
func segLen(t packet.TCP) seqnum.Value {
	n := seqnum.Value(len(t.Payload()))
	if t.Flags()&packet.SYN != 0 {
		n++
	}
	if t.Flags()&packet.FIN != 0 {
		n++
	}
	return n
}

// ourMSS is the segment size that we ask of the guest: what fits its MTU.
func (h *Handler) ourMSS(v4 bool) uint16 {
	mtu := h.cfg.MTU
	if mtu == 0 {
		mtu = 65535
	}
	return uint16(max(mtu-ipTCPLen(v4), 88))
}

// ipTCPLen is the length of IP and TCP headers without options.
func ipTCPLen(v4 bool) int {
	if v4 {
		return packet.IPv4Len + packet.TCPLen
	}
	return packet.IPv6Len + packet.TCPLen
}

// frameLen is the largest payload of one (super-)segment to the guest: a whole
// number of MSS, within the 65535 bytes of an IP packet.
func frameLen(c *conn, v4 bool) int {
	room := 65535 - packet.TCPLen
	if v4 {
		room -= packet.IPv4Len
	}
	return room / int(c.mss) * int(c.mss)
}
