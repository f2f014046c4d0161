package fwd

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

// addr parses text; "" is the zero Addr.
func addr(text string) packet.Addr {
	if text == "" {
		return packet.Addr{}
	}
	return packet.AddrFrom(netip.MustParseAddr(text))
}

// testMap is the topology of the contract: host 10.66.0.2 and fd66::2, gateway .1.
func testMap(change func(m *Map)) *Map {
	m := &Map{
		V4: FamilyMap{
			Enabled: true, Guest: addr("10.66.0.2"), Our: addr("10.66.0.1"), Gateway: addr("10.66.0.1"),
			MapHostLoopback: addr("10.66.0.1"), Scope: 2,
		},
		V6: FamilyMap{
			Enabled: true, Guest: addr("fd66::2"), Our: addr("fd66::1"), Gateway: addr("fd66::1"),
			MapHostLoopback: addr("fd66::1"), Scope: 2,
		},
		OurLinkLocal: addr("fe80::6056"),
	}
	if change != nil {
		change(m)
	}
	return m
}

func noMapGW(m *Map) { m.V4.MapHostLoopback, m.V6.MapHostLoopback = packet.Addr{}, packet.Addr{} }

func TestOutbound(t *testing.T) {
	dns := func(m *Map) { m.V4.DNSForward, m.V4.DNSHost = addr("10.66.0.3"), addr("127.0.0.53") }
	implicitDNS := func(m *Map) { m.V4.DNSForward, m.V4.DNSHost = addr("10.66.0.1"), addr("10.66.0.1") }
	guestAddr := func(m *Map) { m.V4.MapGuestAddr = addr("169.254.1.2") }
	own := func(m *Map) {
		noMapGW(m)
		dns(m)
		m.V4.Own[0], m.V6.Own[3] = addr("10.66.0.3"), addr("fd66::1")
	}
	allPorts := func(m *Map) {
		dns(m)
		m.V4.DNSAllPorts = true
	}
	closedLoopback := func(m *Map) {
		own(m)
		m.V4.DNSAllPorts = true
	}
	const tcp, udp, icmp, icmp6 = packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP, packet.ProtoICMPv6
	for _, tt := range []struct {
		name   string
		change func(*Map)
		proto  uint8
		dst    string
		port   uint16
		want   string // "" if refused
	}{
		{"rule 1: DNS over UDP", dns, udp, "10.66.0.3", 53, "127.0.0.53"},
		{"rule 1: DNS over TLS", dns, tcp, "10.66.0.3", 853, "127.0.0.53"},
		{"rule 1: other port", dns, tcp, "10.66.0.3", 54, "10.66.0.3"},
		{"rule 1: ping has no port", dns, icmp, "10.66.0.3", 0, "10.66.0.3"},
		{"rule 1: other port, if all are forwarded", allPorts, tcp, "10.66.0.3", 54, "127.0.0.53"},
		{"rule 1: ping, if all ports are forwarded", allPorts, icmp, "10.66.0.3", 0, "10.66.0.3"},
		{"rule 1: other port, if all are forwarded, but the loopback is closed", closedLoopback, tcp, "10.66.0.3", 54, ""},
		{"rule 1: DNS, if the loopback is closed", closedLoopback, udp, "10.66.0.3", 53, "127.0.0.53"},
		{"rule 1: other port of a resolver elsewhere, if the loopback is closed", func(m *Map) {
			closedLoopback(m)
			m.V4.DNSHost = addr("10.77.0.1")
		}, tcp, "10.66.0.3", 54, "10.77.0.1"},
		{"rule 1 before rule 2", implicitDNS, udp, "10.66.0.1", 53, "10.66.0.1"},
		{"rule 2 for other ports", implicitDNS, udp, "10.66.0.1", 54, "127.0.0.1"},
		{"rule 1 without resolver", func(m *Map) { m.V4.DNSForward = addr("10.66.0.3") }, udp, "10.66.0.3", 53, "10.66.0.3"},
		{"explicit forward leaves the gateway alone", dns, udp, "10.66.0.1", 53, "127.0.0.1"},
		{"rule 2: TCP", nil, tcp, "10.66.0.1", 80, "127.0.0.1"},
		{"rule 2: IPv6", nil, udp, "fd66::1", 80, "::1"},
		{"rule 2: ping", nil, icmp6, "fd66::1", 0, "::1"},
		{"rule 2 switched off", noMapGW, tcp, "10.66.0.1", 80, "10.66.0.1"},
		{"rule 3", guestAddr, tcp, "169.254.1.2", 80, "10.66.0.2"},
		{"rule 4", nil, tcp, "10.77.0.1", 80, "10.77.0.1"},
		{"rule 4: multicast", nil, udp, "224.0.0.251", 5353, "224.0.0.251"},
		{"rule 4: broadcast", nil, udp, "255.255.255.255", 9, "255.255.255.255"},
		{"host's address under another guest address", func(m *Map) { m.V4.Guest = addr("10.9.9.9") }, tcp, "10.66.0.2", 80, "10.66.0.2"},
		{"loopback", nil, tcp, "127.0.0.1", 80, ""},
		{"IPv6 loopback", nil, tcp, "::1", 80, ""},
		{"unspecified", noMapGW, tcp, "0.0.0.0", 80, ""},
		{"IPv6 unspecified", noMapGW, tcp, "::", 80, ""},
		{"port 0", nil, udp, "10.77.0.1", 0, ""},
		{"our own", own, tcp, "10.66.0.3", 80, ""},
		{"our own, IPv6", own, udp, "fd66::1", 80, ""},
		{"our own, ping", own, icmp6, "fd66::1", 0, ""},
		{"our own with a mapping", own, tcp, "10.66.0.3", 53, "127.0.0.53"},
		{"beside our own", own, tcp, "10.66.0.4", 80, "10.66.0.4"},
		{"disabled family", func(m *Map) { m.V6.Enabled = false }, tcp, "fd77::1", 80, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := testMap(tt.change).Outbound(tt.proto, addr(tt.dst), tt.port)
			if ok != (tt.want != "") || got != addr(tt.want) {
				t.Errorf("Outbound(%d, %s, %d) = %s, %v, want %q", tt.proto, tt.dst, tt.port, got.Netip(), ok, tt.want)
			}
		})
	}
}

func TestOwn(t *testing.T) {
	m := testMap(func(m *Map) { m.V4.Own[1], m.V6.Own[0] = addr("10.66.0.3"), addr("fd66::3") })
	for text, want := range map[string]bool{
		"10.66.0.3": true, "fd66::3": true, "10.66.0.1": false, "fd66::1": false, "0.0.0.0": false, "::": false,
	} {
		if got := m.Own(addr(text)); got != want {
			t.Errorf("Own(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestClosed(t *testing.T) {
	m := testMap(func(m *Map) { m.V4.Closed[1], m.V6.Closed[0] = addr("10.66.0.3"), addr("fd66::3") })
	for text, want := range map[string]bool{
		"10.66.0.3": true, "fd66::3": true, "10.66.0.1": false, "fd66::1": false, "0.0.0.0": false, "::": false,
	} {
		if got := m.Closed(addr(text)); got != want {
			t.Errorf("Closed(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestOutboundScope(t *testing.T) {
	for _, tt := range []struct {
		dst  string
		want uint32
	}{
		{"fe80::1", 2}, {"ff02::fb", 2}, {"fd66::1", 0}, {"169.254.1.1", 0}, {"224.0.0.1", 0},
	} {
		if got := testMap(nil).OutboundScope(addr(tt.dst)); got != tt.want {
			t.Errorf("OutboundScope(%s) = %d, want %d", tt.dst, got, tt.want)
		}
	}
}

func TestGuestSource(t *testing.T) {
	mute := func(bits int) func(*Map) {
		return func(m *Map) {
			m.V4.Own[0], m.V4.Link, m.V4.LinkBits = addr("10.66.0.3"), addr("10.66.0.1"), 96+bits
			m.V6.Own[0], m.V6.Link, m.V6.LinkBits = addr("fd66::3"), addr("fd66::1"), 64
		}
	}
	guestAddr := func(m *Map) { m.V4.MapGuestAddr = addr("169.254.1.2") }
	gateway6 := func(gw string) func(*Map) {
		return func(m *Map) {
			noMapGW(m)
			m.V6.Gateway = addr(gw)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*Map)
		client string
		want   string // "" if refused
	}{
		{"rule 2", nil, "127.0.0.1", "10.66.0.1"},
		{"rule 2: IPv6", nil, "::1", "fd66::1"},
		{"rule 2 before rule 4", func(m *Map) { m.V4.MapHostLoopback = addr("10.66.0.9") }, "127.0.0.1", "10.66.0.9"},
		{"rule 3", guestAddr, "10.66.0.2", "169.254.1.2"},
		{"rule 3 is per family", guestAddr, "fd66::2", "fd66::1"},
		{"rule 4: other loopback", nil, "127.0.0.5", "10.66.0.1"},
		{"rule 4: unspecified", nil, "0.0.0.0", "10.66.0.1"},
		{"rule 4: IPv6 unspecified", nil, "::", "fd66::1"},
		{"rule 4: assigned", nil, "10.66.0.2", "10.66.0.1"},
		{"rule 4: assigned IPv6", nil, "fd66::2", "fd66::1"},
		{"rule 4: observed", func(m *Map) { m.Observe(addr("10.66.0.77")) }, "10.66.0.77", "10.66.0.1"},
		{"rule 4: observed link-local", func(m *Map) { m.Observe(addr("fe80::5")) }, "fe80::5", "fd66::1"},
		{"rule 4 despite no mapping", noMapGW, "127.0.0.1", "10.66.0.1"},
		{"rule 4: no mapping, IPv6", gateway6("fd66::1"), "::1", "fd66::1"},
		{"rule 4: link-local gateway", gateway6("fe80::77"), "::1", "fe80::77"},
		{"rule 4: other gateway", gateway6("fd66::9"), "::1", "fd66::9"},
		{"rule 4: no IPv6 gateway", gateway6(""), "::1", "fe80::6056"},
		{"rule 4: no IPv4 gateway", func(m *Map) { noMapGW(m); m.V4.Gateway = packet.Addr{} }, "127.0.0.1", ""},
		{"rule 5", nil, "10.66.0.1", "10.66.0.1"},
		{"rule 5: IPv6", nil, "fd77::1", "fd77::1"},
		{"rule 5: host under another guest address", func(m *Map) { m.V4.Guest = addr("10.200.0.5") }, "10.66.0.2", "10.66.0.2"},
		{"nobody answers on the link", mute(24), "10.66.0.200", "10.66.0.1"},
		{"nobody answers on the link, odd length", mute(25), "10.66.0.127", "10.66.0.1"},
		{"beyond the link, odd length", mute(25), "10.66.0.128", "10.66.0.128"},
		{"beyond the link", mute(24), "10.66.1.1", "10.66.1.1"},
		{"our own on the link", mute(24), "10.66.0.3", "10.66.0.3"},
		{"nobody answers on the link, IPv6", mute(24), "fd66::200", "fd66::1"},
		{"nobody answers for link-local addresses", mute(24), "fe80::9", "fd66::1"},
		{"beyond the link, IPv6", mute(24), "fd77::1", "fd77::1"},
		{"disabled family", func(m *Map) { m.V4.Enabled = false }, "10.77.0.1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := testMap(tt.change).GuestSource(addr(tt.client))
			if ok != (tt.want != "") || got != addr(tt.want) {
				t.Errorf("GuestSource(%s) = %s, %v, want %q", tt.client, got.Netip(), ok, tt.want)
			}
		})
	}
}

func TestGuestAddr(t *testing.T) {
	observed := func(m *Map) {
		for _, a := range []string{"10.66.0.77", "fd66::77", "fe80::77", "0.0.0.0", "::", "127.0.0.1", "ff02::1"} {
			m.Observe(addr(a))
		}
	}
	linkLocalOnly := func(m *Map) {
		m.V6.Guest = packet.Addr{}
		m.Observe(addr("fe80::77"))
	}
	for _, tt := range []struct {
		name              string
		change            func(*Map)
		src, target, want string
	}{
		{"assigned", nil, "10.77.0.1", "", "10.66.0.2"},
		{"assigned IPv6", nil, "fd77::1", "", "fd66::2"},
		{"observed", observed, "10.77.0.1", "", "10.66.0.77"},
		{"observed IPv6", observed, "fd77::1", "", "fd66::77"},
		{"link-local source", observed, "fe80::1", "", "fe80::77"},
		{"link-local source, none observed", nil, "fe80::1", "", "fd66::2"},
		{"only link-local known", linkLocalOnly, "fd77::1", "", "fe80::77"},
		{"rule's address", observed, "10.77.0.1", "10.1.2.3", "10.1.2.3"},
		{"nothing known", func(m *Map) { m.V4.Guest = packet.Addr{} }, "10.77.0.1", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testMap(tt.change).GuestAddr(addr(tt.src), addr(tt.target)); got != addr(tt.want) {
				t.Errorf("GuestAddr(%s, %q) = %s, want %q", tt.src, tt.target, got.Netip(), tt.want)
			}
		})
	}
}

func TestMapAllocatesNothing(t *testing.T) {
	m := testMap(nil)
	dst, client := addr("10.66.0.1"), addr("::1")
	if n := testing.AllocsPerRun(100, func() {
		m.Observe(dst)
		_, _ = m.Outbound(packet.ProtoUDP, dst, 53)
		src, _ := m.GuestSource(client)
		_ = m.GuestAddr(src, packet.Addr{})
	}); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}
