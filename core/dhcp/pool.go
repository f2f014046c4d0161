package dhcp

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/pasta-net/pasta/core/packet"
)

// offerTime is how long an address is kept for a client that it was offered to,
// declineTime for nobody after a client found somebody else using it.
const (
	offerTime   = time.Minute
	declineTime = 10 * time.Minute
)

// pool leases a range of addresses, each to one client, known by its MAC address. A
// client keeps its address for as long as nobody else needs it.
type pool struct {
	first  uint32 // the lowest address
	leases []tenure
	now    func() time.Time // tests replace it
	term   time.Duration    // of a lease; 0: for ever
}

// tenure is the state of one address: free at the beginning, and again from until on.
type tenure struct {
	mac   packet.MAC
	until time.Time
	ever  bool // until means nothing
}

// makePool prepares for leasing several addresses, if that is configured.
func (s *Server) makePool() {
	p := &s.cfg.Link.Pool
	if p.Len == 0 {
		return
	}
	s.pool = &pool{
		first: binary.BigEndian.Uint32(p.First.AsSlice()), leases: make([]tenure, p.Len), now: time.Now,
		term: time.Duration(s.cfg.Link.LeaseSec) * time.Second,
	}
	s.nak4 = new([256][]byte)
	s.nak4[optMessageType] = make([]byte, 1)
	s.nak4[optServerID] = s.options4[optServerID]
}

// lease4 decides about the request r to a server with a pool, for which a would be
// the answer (RFC 2131 section 4.3). It gives the answer and the address leased.
func (s *Server) lease4(r *request4, a answer4) (answer4, packet.Addr) {
	mac, wanted := r.clientMAC(), r.address()
	ours := r.server == nil || bytes.Equal(r.server, s.options4[optServerID])
	switch {
	case r.msgType == typeDecline:
		s.pool.release(mac, declineTime)
		return answer4{}, packet.Addr{}
	case r.msgType == typeRelease, !ours:
		s.pool.release(mac, 0)
		return answer4{}, packet.Addr{}
	case a.msgType == 0:
		return a, packet.Addr{}
	case a.msgType == typeOffer:
		addr, ok := s.pool.take(mac, wanted, offerTime)
		if !ok {
			return answer4{}, addr
		}
		return a, addr
	}
	addr, ok := s.pool.take(mac, wanted, s.pool.term)
	if !ok || r.hasType && !wanted.IsZero() && addr != wanted {
		return answer4{msgType: typeNAK, text: "DHCP: refusal of request"}, packet.Addr{}
	}
	return a, addr
}

// take leases an address for a time, 0 for ever: the one that the client has, the one
// that it wants, or the lowest that was never leased, or the one that ran out first.
func (p *pool) take(mac packet.MAC, wanted packet.Addr, term time.Duration) (a packet.Addr, ok bool) {
	i, ok := p.choose(mac, wanted)
	if !ok {
		return packet.Addr{}, false
	}
	l := &p.leases[i]
	if l.mac != mac {
		*l = tenure{mac: mac}
	}
	if until := p.now().Add(term); until.After(l.until) {
		l.until = until // an offer does not shorten a lease
	}
	l.ever = l.ever || term == 0
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], p.first+uint32(i))
	return packet.AddrFrom4(b), true
}

func (p *pool) choose(mac packet.MAC, wanted packet.Addr) (i int, ok bool) {
	now, best := p.now(), -1
	for i := range p.leases {
		switch l := &p.leases[i]; {
		case l.mac == mac:
			return i, true
		case l.ever || l.until.After(now):
		case best < 0 || l.until.Before(p.leases[best].until):
			best = i
		}
	}
	if i, ok := p.index(wanted); ok {
		if l := &p.leases[i]; !l.ever && !l.until.After(now) {
			return i, true
		}
	}
	return best, best >= 0
}

// index is the place of an address in the pool.
func (p *pool) index(a packet.Addr) (i int, ok bool) {
	if !a.Is4() {
		return 0, false
	}
	b := a.As4()
	n := binary.BigEndian.Uint32(b[:]) - p.first // wraps below the first
	return int(n), n < uint32(len(p.leases))
}

// release ends the lease of a client. Its address is free after the pause.
func (p *pool) release(mac packet.MAC, pause time.Duration) {
	for i := range p.leases {
		if p.leases[i].mac != mac {
			continue
		}
		p.leases[i] = tenure{}
		if pause > 0 {
			p.leases[i].until = p.now().Add(pause)
		}
	}
}
