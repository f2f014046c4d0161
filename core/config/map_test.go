package config

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
)

func TestMapCarriesEveryField(t *testing.T) {
	a := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, last}) }
	m := func(last byte) packet.Addr { return packet.AddrFrom4([4]byte{10, 0, 0, last}) }
	c := Config{
		V4: Family{
			Enabled: true, Guest: a(1), Gateway: a(2), Our: a(3), MapHostLoopback: a(4), MapGuestAddr: a(5),
			DNSForward: a(6), DNSHost: a(7), Outbound: a(8), OutboundIf: "eth0", Scope: 9,
			PrefixLen: 24, Own: []netip.Addr{a(10), a(11)}, Closed: []netip.Addr{a(12)}, DNSAllPorts: true, OutboundLoopback: true,
		},
		OurLinkLocal: netip.MustParseAddr("fe80::1"),
		Bypass:       fwd.Bypass{Inbound: true, SameLoopback: true, Only: true},
		Refusal:      fwd.RefuseUnreachable,
	}
	want := fwd.Map{
		V4: fwd.FamilyMap{
			Enabled: true, Guest: m(1), Gateway: m(2), Our: m(3), MapHostLoopback: m(4), MapGuestAddr: m(5),
			DNSForward: m(6), DNSHost: m(7), Outbound: m(8), OutboundIf: "eth0", Scope: 9,
			Link: m(2), LinkBits: 96 + 24, Own: fwd.Addrs{m(10), m(11)}, Closed: fwd.Addrs{m(12)}, DNSAllPorts: true, OutboundLoopback: true,
		},
		OurLinkLocal: packet.AddrFrom(netip.MustParseAddr("fe80::1")),
		Bypass:       fwd.Bypass{Inbound: true, SameLoopback: true, Only: true},
		Refusal:      fwd.RefuseUnreachable,
	}
	if got := *c.Map(); got != want {
		t.Errorf("Map() = %+v, want %+v", got, want)
	}
}
