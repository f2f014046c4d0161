package dhcp

import (
	"log/slog"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// UDP ports (RFC 2131 section 4.1, RFC 8415 section 7.2).
const (
	serverPort4 = 67
	clientPort4 = 68
	clientPort6 = 546
	serverPort6 = 547
)

// Server answers both versions of DHCP on one link.
type Server struct {
	cfg  *config.Config
	link *tap.Link
	log  *eventLog

	our4, guest4      packet.Addr
	linkLocal, guest6 packet.Addr

	// options4 are the values of DHCPv4 options by code, those that are not sent
	// nil. The message type and rapid commit change from reply to reply.
	options4 [256][]byte
	// pool has the addresses to lease, nak4 the options of a refusal; nil if there is
	// just the guest's address, for everybody.
	pool *pool
	nak4 *[256][]byte
	// serverID is our DUID, tail6 the encoded DHCPv6 options that every reply
	// ends with.
	serverID []byte
	tail6    []byte

	// buf holds the packet being built, IP header included.
	buf [maxReply]byte
}

// maxReply bounds our packets in bytes, IP header included.
const maxReply = 1500

// New makes a server for link. Names that cannot be encoded are left out with
// a warning.
func New(cfg *config.Config, link *tap.Link, log *slog.Logger) *Server {
	s := &Server{
		cfg: cfg, link: link, log: newEventLog(log),
		our4:      packet.AddrFrom(cfg.V4.Our),
		guest4:    packet.AddrFrom(cfg.V4.Guest),
		linkLocal: packet.AddrFrom(cfg.OurLinkLocal),
		guest6:    packet.AddrFrom(cfg.V6.Guest),
		serverID:  makeDUID(link.OurMAC(), time.Now()),
	}
	if s.serves4() {
		s.setOptions4(log)
		s.makePool()
	}
	if s.serves6() {
		s.tail6 = s.encodeTail6(log)
	}
	return s
}

func (s *Server) serves4() bool {
	return s.cfg.Link.DHCP && s.cfg.V4.Enabled && !s.guest4.IsZero() && !s.our4.IsZero()
}

func (s *Server) serves6() bool {
	return s.cfg.Link.DHCPv6 && s.cfg.V6.Enabled && !s.guest6.IsZero()
}

// FromTap takes the datagram u of packet p from the guest. handled is false if it
// is not for a DHCP server. One that is goes no further even if there is no
// answer: nothing good comes from a guest's broadcasts on the host's network.
func (s *Server) FromTap(p *packet.Packet, u packet.UDP) (handled bool) {
	v4 := p.Src.Is4()
	switch {
	case v4 && u.DstPort() == serverPort4 && s.serves4():
		s.fromTap4(u.Payload())
	case !v4 && u.DstPort() == serverPort6 && s.serves6():
		s.fromTap6(p, u.Payload())
	case v4 && u.DstPort() == serverPort4, !v4 && u.DstPort() == serverPort6:
		s.link.Drop(packet.DropDisabled)
	default:
		return false
	}
	return true
}

// room is where the UDP payload of a packet from src goes, up to maxReply.
func (s *Server) room(src packet.Addr) []byte {
	h := packet.IPHeader{Src: src}
	return s.buf[h.IPLen()+packet.UDPLen:]
}

// send transmits the payload of payloadLen bytes that the caller wrote to room. A
// refusal by the device is left to the link's counters: the client asks again.
func (s *Server) send(mac packet.MAC, h *packet.IPHeader, srcPort, dstPort uint16, payloadLen int) {
	n := packet.PutDatagram(s.buf[:], h, srcPort, dstPort, payloadLen)
	_ = s.link.SendPacket(mac, packet.EtherTypeOf(h.Src), s.buf[:n])
}
