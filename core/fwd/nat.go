package fwd

import (
	"slices"

	"github.com/pasta-net/pasta/core/packet"
)

// Ports whose traffic to the DNS forward address goes to the host's resolver:
// DNS (RFC 1035) and DNS over TLS (RFC 7858).
const (
	portDNS = 53
	portDoT = 853
)

// MaxOwn is how many addresses of our own a family may have (config.Family.Own and
// Closed).
const MaxOwn = 4

// FamilyMap is the addressing of one IP version; a zero Addr means "none".
// The fields mirror config.Family, which documents them.
type FamilyMap struct {
	Guest, Our, Gateway           packet.Addr
	MapHostLoopback, MapGuestAddr packet.Addr
	DNSForward, DNSHost           packet.Addr
	Own, Closed                   Addrs
	// Outbound and OutboundIf bind the host's sockets of outbound flows.
	Outbound   packet.Addr
	OutboundIf string
	// Link and LinkBits are the network of the link, if nobody answers there for
	// other addresses than Own; LinkBits counts as for IPv6.
	Link     packet.Addr
	LinkBits int
	// DNSAllPorts, OutboundLoopback: see config.Family.
	DNSAllPorts, OutboundLoopback bool
	// Scope is the index of the host interface on which link-local
	// destinations of the guest are looked for; 0: none.
	Scope   uint32
	Enabled bool
}

// Map translates addresses between guest side and host side. Of the configured
// part only the resolvers change, but the addresses observed from the guest do, so
// that a Map belongs to the event loop goroutine. Nothing here allocates.
type Map struct {
	V4, V6 FamilyMap
	// OurLinkLocal stands in for host-side IPv6 clients that the guest could
	// not answer, if there is no gateway.
	OurLinkLocal packet.Addr
	// Bypass tells which flows need no translation.
	Bypass Bypass
	// Refusal is how failures to connect are told.
	Refusal Refusal

	seen4, seen6, seenLinkLocal packet.Addr
}

// Family is the addressing of the IP version of a.
func (m *Map) Family(a packet.Addr) *FamilyMap {
	if a.Is4() {
		return &m.V4
	}
	return &m.V6
}

// Observe notes the source address of a packet from the guest: inbound flows go
// to the address that the guest was last seen using.
func (m *Map) Observe(src packet.Addr) {
	switch {
	case !ValidSource(src):
	case src.Is4():
		m.seen4 = src
	case src.IsLinkLocal():
		m.seenLinkLocal = src
	default:
		m.seen6 = src
	}
}

// ValidSource tells whether src may be the source of a translated packet:
// loopback addresses never appear on a link (RFC 1122 section 3.2.1.3, RFC 4291
// section 2.5.3) and nothing could be answered to the others.
func ValidSource(src packet.Addr) bool {
	return !src.IsLoopback() && !src.IsUnspecified() && !src.IsMulticast() && !src.IsBroadcast()
}

// Outbound gives the host-side destination of a flow that the guest addresses to
// dst; port is in host byte order, and 0 for protocols without ports. ok is
// false if the guest may not address dst. Replies need no inverse: the guest sees
// them from the address that it sent to, which the flow's key keeps.
func (m *Map) Outbound(proto uint8, dst packet.Addr, port uint16) (host packet.Addr, ok bool) {
	f := m.Family(dst)
	ported := proto == packet.ProtoTCP || proto == packet.ProtoUDP
	if !f.Enabled || dst.IsLoopback() || dst.IsUnspecified() || ported && port == 0 {
		return packet.Addr{}, false
	}
	switch {
	case ported && f.forwardsDNS(dst, port):
		return f.DNSHost, true
	case dst == f.MapHostLoopback:
		return loopback(dst), true
	case dst == f.MapGuestAddr && !f.Guest.IsZero():
		return f.Guest, true
	case m.Own(dst):
		return packet.Addr{}, false
	}
	return dst, true
}

// forwardsDNS tells whether what goes to that port of dst is for the host's resolver.
// The other ports of one on the host itself are the host's loopback.
func (f *FamilyMap) forwardsDNS(dst packet.Addr, port uint16) bool {
	if dst != f.DNSForward || f.DNSHost.IsZero() {
		return false
	}
	open := f.DNSAllPorts && (!f.DNSHost.IsLoopback() || !f.MapHostLoopback.IsZero())
	return open || port == portDNS || port == portDoT
}

// Own tells whether dst is one of our own addresses on the link, where we answer
// echo requests. What no mapping covers does not go on from there.
func (m *Map) Own(dst packet.Addr) bool { return m.Family(dst).Own.has(dst) }

// Closed tells whether the guest learns of dst, to which Outbound found no way, that
// the network there is unreachable; else it learns nothing.
func (m *Map) Closed(dst packet.Addr) bool { return m.Family(dst).Closed.has(dst) }

// Addrs are some addresses; unused places are zero.
type Addrs [MaxOwn]packet.Addr

func (l *Addrs) has(a packet.Addr) bool {
	for i := range l {
		if l[i] == a {
			return !a.IsZero()
		}
	}
	return false
}

// OutboundScope is the scope of the host-side address that Outbound gave: the
// template interface for link-local and link-wide multicast IPv6 addresses.
func (m *Map) OutboundScope(host packet.Addr) uint32 {
	if host.Is4() || !host.IsLinkLocal() && !host.IsMulticast() {
		return 0
	}
	return m.V6.Scope
}

// GuestSource gives the source address that the guest sees for a host-side client
// whose flow goes through the tap. ok is false if the guest could not answer
// any address that we may show it: the flow is then refused.
func (m *Map) GuestSource(client packet.Addr) (src packet.Addr, ok bool) {
	f := m.Family(client)
	switch {
	case !f.Enabled:
		return packet.Addr{}, false
	case client == loopback(client) && !f.MapHostLoopback.IsZero():
		return f.MapHostLoopback, true
	case client == f.Guest && !client.IsZero() && !f.MapGuestAddr.IsZero():
		return f.MapGuestAddr, true
	case !m.unusable(client):
		return client, true
	case !f.Gateway.IsZero():
		return f.Gateway, true
	case !client.Is4() && !m.OurLinkLocal.IsZero():
		return m.OurLinkLocal, true
	}
	return packet.Addr{}, false
}

// unusable tells whether the guest takes a for itself or for nobody.
func (m *Map) unusable(a packet.Addr) bool {
	return !ValidSource(a) || a == m.Family(a).Guest || a == m.seen4 || a == m.seen6 || a == m.seenLinkLocal || m.mute(a)
}

// mute tells whether the guest looks for a on its link, where nobody answers for it.
func (m *Map) mute(a packet.Addr) bool {
	f := m.Family(a)
	return f.LinkBits > 0 && !m.Own(a) && (a.IsLinkLocal() || samePrefix(a, f.Link, f.LinkBits))
}

// samePrefix tells whether the first bits of two addresses are equal.
func samePrefix(a, b packet.Addr, bits int) bool {
	whole, rest := bits/8, bits%8
	return slices.Equal(a[:whole], b[:whole]) && (rest == 0 || (a[whole]^b[whole])>>(8-rest) == 0)
}

// GuestAddr gives the guest-side destination of an inbound flow whose source in
// the guest is src: target, the address of the rule, unless that is zero;
// otherwise the guest's own address. The zero Addr comes back if the guest has
// none of that family, as far as is known.
func (m *Map) GuestAddr(src, target packet.Addr) packet.Addr {
	if !target.IsZero() {
		return target
	}
	if src.Is4() {
		return first(m.seen4, m.V4.Guest)
	}
	if src.IsLinkLocal() {
		return first(m.seenLinkLocal, first(m.seen6, m.V6.Guest))
	}
	return first(m.seen6, first(m.V6.Guest, m.seenLinkLocal))
}

func first(a, b packet.Addr) packet.Addr {
	if a.IsZero() {
		return b
	}
	return a
}

// loopback is 127.0.0.1 or ::1, by the family of a.
func loopback(a packet.Addr) packet.Addr {
	if a.Is4() {
		return packet.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return packet.Addr{15: 1}
}
