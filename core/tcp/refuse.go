package tcp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

// refuse tells the guest that the host cannot connect, in the way it would have
// learnt it on the host's own link: RST when the peer refused, ICMP
// unreachable when there is no way to it, and silence when nothing answered; or as
// the configuration's Refusal has it. syn is the sequence number of the guest's SYN.
func (h *Handler) refuse(k *flow.Key, syn seqnum.Value, errno syscall.Errno) {
	errno = h.nat.Refusal.Errno(errno)
	if errno == syscall.ETIMEDOUT {
		return
	}
	e := sys.ExtendedErr{Errno: errno, Origin: sys.OriginLocal}
	msg := packet.ICMPError{Dst: k.Guest, Peer: k.Peer, Proto: packet.ProtoTCP}
	if h.nat.HostError(&e, packet.Addr{}, &msg) {
		h.sendError(k, syn, &msg)
		return
	}
	h.sendControl(k, packet.RST|packet.ACK, 0, syn+1)
}

// connectFailed is refuse for a connection whose attempt took time.
func (h *Handler) connectFailed(i uint32, c *conn, errno syscall.Errno) {
	k, syn := *h.table.Key(i), c.rcvNxt-1
	h.release(i, c)
	h.refuse(&k, syn, errno)
}

// sendError sends an ICMP error about the guest's SYN, quoting it.
func (h *Handler) sendError(k *flow.Key, syn seqnum.Value, msg *packet.ICMPError) {
	var quoted [packet.TCPLen]byte
	h.hdr = packet.TCPHeader{SrcPort: k.GuestPort, DstPort: k.PeerPort, Seq: syn, Flags: packet.SYN}
	packet.PutTCP(quoted[:], &h.hdr)
	_ = h.link.SendError(msg, quoted[:], nil, packet.TCPCsumOff)
}
