package config

import (
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
	}
}

func (f *Family) familyMap() fwd.FamilyMap {
	m := fwd.FamilyMap{
		Guest:           packet.AddrFrom(f.Guest),
		Our:             packet.AddrFrom(f.Our),
		Gateway:         packet.AddrFrom(f.Gateway),
		MapHostLoopback: packet.AddrFrom(f.MapHostLoopback),
		MapGuestAddr:    packet.AddrFrom(f.MapGuestAddr),
		DNSForward:      packet.AddrFrom(f.DNSForward),
		DNSHost:         packet.AddrFrom(f.DNSHost),
		Outbound:        packet.AddrFrom(f.Outbound),
		OutboundIf:      f.OutboundIf,
		Scope:           f.Scope,
		Enabled:         f.Enabled,
	}
	for i, a := range f.Own {
		m.Own[i] = packet.AddrFrom(a)
	}
	return m
}
