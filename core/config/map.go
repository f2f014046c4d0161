package config

import (
	"net/netip"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
)

// Map gives the address translation of c, with no guest address observed yet.
// Every call makes a new one; a run has one only, shared by its handlers.
func (c *Config) Map() *fwd.Map {
	return &fwd.Map{
		V4:           c.V4.familyMap(),
		V6:           c.V6.familyMap(),
		OurLinkLocal: packet.AddrFrom(c.OurLinkLocal),
		Bypass:       c.Bypass,
		Refusal:      c.Refusal,
	}
}

func (f *Family) familyMap() fwd.FamilyMap {
	m := fwd.FamilyMap{
		Guest:            packet.AddrFrom(f.Guest),
		Our:              packet.AddrFrom(f.Our),
		Gateway:          packet.AddrFrom(f.Gateway),
		MapHostLoopback:  packet.AddrFrom(f.MapHostLoopback),
		MapGuestAddr:     packet.AddrFrom(f.MapGuestAddr),
		DNSForward:       packet.AddrFrom(f.DNSForward),
		DNSAllPorts:      f.DNSAllPorts,
		DNSHost:          packet.AddrFrom(f.DNSHost),
		Own:              addrs(f.Own),
		Closed:           addrs(f.Closed),
		Outbound:         packet.AddrFrom(f.Outbound),
		OutboundLoopback: f.OutboundLoopback,
		OutboundIf:       f.OutboundIf,
		Scope:            f.Scope,
		Enabled:          f.Enabled,
	}
	if len(f.Own) > 0 && f.PrefixLen > 0 {
		m.Link, m.LinkBits = m.Gateway, f.PrefixLen
		if m.Link.Is4() {
			m.LinkBits += 96
		}
	}
	return m
}

// addrs converts at most fwd.MaxOwn addresses.
func addrs(list []netip.Addr) (m fwd.Addrs) {
	for i, a := range list {
		m[i] = packet.AddrFrom(a)
	}
	return m
}
