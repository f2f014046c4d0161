package slirp4netns

import (
	"net/netip"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/neigh"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// Offsets from the network address, whatever the length of the prefix.
const (
	gatewayOffset = 2
	dnsOffset     = 3
	poolOffset    = 15
	poolLen       = 16
	guestOffset   = 100
)

// Lifetimes in seconds.
const (
	leaseSec     = 86400
	routerSec    = 1800
	validSec     = 86400
	preferredSec = 14400
)

// The IPv6 network, which no option changes. Written as bytes: every personality pays at
// its start for what is parsed here.
var (
	prefix6  = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd}), 64) // fd00::/64
	gateway6 = netip.AddrFrom16([16]byte{0: 0xfd, 15: 2})                // fd00::2
	dns6     = netip.AddrFrom16([16]byte{0: 0xfd, 15: 3})                // fd00::3
	router6  = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: 2})       // fe80::2
)

// network is the IPv4 address plan.
type network struct{ prefix netip.Prefix }

// host is the address so far behind the network's.
func (n network) host(offset uint8) netip.Addr {
	b := n.prefix.Addr().As4()
	b[3] += offset // the prefix leaves room for all of them
	return netip.AddrFrom4(b)
}

func (n network) gateway() netip.Addr { return n.host(gatewayOffset) }
func (n network) dns() netip.Addr     { return n.host(dnsOffset) }
func (n network) guest() netip.Addr   { return n.host(guestOffset) }

// macOf is the MAC of an IPv4 address of ours.
func macOf(a netip.Addr) [6]byte {
	b := a.As4()
	return [6]byte{0x52, 0x55, b[0], b[1], b[2], b[3]}
}

// config is the run configuration, but for the resolvers.
func (s *settings) config() config.Config {
	c := config.Config{
		MTU: s.mtu, OurMAC: macOf(s.network.gateway()), V4: s.family4(), OurLinkLocal: router6,
		TCP: true, UDP: true, ICMP: true, Refusal: fwd.RefuseUnreachable,
		Link: config.Link{
			DHCP: true, LeaseSec: leaseSec, SendDNS: true,
			Pool: config.Pool{First: s.network.host(poolOffset), Len: poolLen},
		},
		Offload: config.Offload{VnetHdr: true, Checksum: true, TSO: true, USO: true},
	}
	if s.ipv6 {
		c.V6 = s.family6()
		c.Link.NDP, c.Link.RA = true, true
		c.Link.Advert = config.Advert{Prefix: prefix6, RouterSec: routerSec, ValidSec: validSec, PreferredSec: preferredSec}
	}
	return c
}

func (s *settings) family4() config.Family {
	f := s.family(s.network.gateway(), s.network.dns())
	f.Guest, f.PrefixLen, f.Outbound = s.network.guest(), s.network.prefix.Bits(), s.outbound[0].addr
	return f
}

func (s *settings) family6() config.Family {
	f := s.family(gateway6, dns6)
	f.Own, f.Closed = append(f.Own, router6), append(f.Closed, router6)
	f.PrefixLen, f.Outbound = prefix6.Bits(), s.outbound[1].addr
	return f
}

// family is what both IP versions have in common. What does not lead anywhere is
// unreachable, but a DNS address that is not to be forwarded stays silent.
func (s *settings) family(gateway, dns netip.Addr) config.Family {
	f := config.Family{
		Enabled: true, Gateway: gateway, Our: gateway, DNS: []netip.Addr{dns},
		Own: []netip.Addr{gateway, dns}, Closed: []netip.Addr{gateway}, OutboundLoopback: true,
	}
	if !s.disableHostLoopback {
		f.MapHostLoopback = gateway
	}
	if !s.disableDNS {
		f.DNSForward, f.DNSAllPorts = dns, true
		f.Closed = append(f.Closed, dns)
	}
	return f
}

// stations are the addresses that are on the link besides the guest's.
func (s *settings) stations() neigh.Table {
	t := neigh.Table{}
	for _, a := range []netip.Addr{s.network.gateway(), s.network.dns()} {
		t.Add(a, macOf(a))
	}
	for _, a := range []netip.Addr{router6, gateway6, dns6} {
		t.Add(a, macOf(s.network.gateway()))
	}
	return t
}

// resolvers are the first of each family in the host's list; invalid: none.
func resolvers(c resolv.Conf) (v4, v6 netip.Addr) {
	for _, v := range []struct {
		addr *netip.Addr
		v6   bool
	}{{&v4, false}, {&v6, true}} {
		if list := resolv.Family(c.Servers, v.v6); len(list) > 0 {
			*v.addr = list[0]
		}
	}
	return v4, v6
}
