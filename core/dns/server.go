// Package dns answers the guest's queries for a few names that only its own network
// knows. All other queries go on to the host's resolver, as datagrams of core/udp or
// connections of core/tcp.
//
// Everything is owned by the event loop goroutine; nothing allocates after New.
//
// Import level: above config, below engine.
package dns

import (
	"log/slog"
	"strings"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

const port = 53

// maxReply bounds our packets in bytes: headers, the longest question, one record.
const maxReply = packet.IPv6Len + packet.UDPLen + headerLen + maxName + 4 + 12 + 16

// Server answers queries to the address that stands for the host's resolver
// (config.Family.DNSForward).
type Server struct {
	link *tap.Link
	// own are our addresses, zero for none.
	own4, own6 packet.Addr
	names      map[string]addrs
	query      query

	// buf holds the packet being built, IP header included.
	buf [maxReply]byte
}

// addrs are the records of a name; nil: none.
type addrs struct{ a, aaaa []byte }

// New makes a server for link. Names that have no form on the wire are left out with a
// warning. The first address of a name and family counts.
func New(cfg *config.Config, link *tap.Link, log *slog.Logger) *Server {
	s := &Server{
		link: link, names: make(map[string]addrs, len(cfg.Names)),
		own4: packet.AddrFrom(cfg.V4.DNSForward), own6: packet.AddrFrom(cfg.V6.DNSForward),
	}
	for _, n := range cfg.Names {
		key, err := packet.AppendName(nil, strings.ToLower(n.Name))
		if err != nil {
			log.Warn("name not served by DNS", "err", err)
			continue
		}
		s.add(string(key), n.Addr.AsSlice())
	}
	return s
}

func (s *Server) add(key string, addr []byte) {
	records := s.names[key]
	switch {
	case len(addr) == 4 && records.a == nil:
		records.a = addr
	case len(addr) == 16 && records.aaaa == nil:
		records.aaaa = addr
	}
	s.names[key] = records
}

// FromTap takes the datagram u of packet p from the guest. handled is false if it
// is not a query for one of the names.
func (s *Server) FromTap(p *packet.Packet, u packet.UDP) (handled bool) {
	if len(s.names) == 0 || u.DstPort() != port || p.Dst.IsZero() || p.Dst != s.own4 && p.Dst != s.own6 ||
		!s.query.parse(u.Payload()) {
		return false
	}
	records, ok := s.names[string(s.query.name[:s.query.nameN])]
	if !ok {
		return false
	}
	s.answer(p, u, records.of(s.query.qtype))
	return true
}

// of gives the record for a type of query; nil: there is none.
func (r addrs) of(qtype uint16) []byte {
	switch {
	case qtype == typeA, qtype == typeANY && r.a != nil:
		return r.a
	case qtype == typeAAAA, qtype == typeANY:
		return r.aaaa
	}
	return nil
}

// answer leaves a refusal by the device to the link's counters: the guest asks again.
func (s *Server) answer(p *packet.Packet, u packet.UDP, addr []byte) {
	h := packet.IPHeader{Src: p.Dst, Dst: p.Src}
	b := s.query.appendAnswer(s.buf[:h.IPLen()+packet.UDPLen], u.Payload(), addr)
	payloadLen := len(b) - h.IPLen() - packet.UDPLen
	n := packet.PutDatagram(s.buf[:], &h, port, u.SrcPort(), payloadLen)
	_ = s.link.SendPacket(s.link.GuestMAC(), packet.EtherTypeOf(p.Dst), s.buf[:n])
}
