package netcfg

import (
	"net/netip"
	"slices"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// decideDNS fills in the resolvers of one family. MapHostLoopback is decided
// already.
func decideDNS(c *config.Family, fo familyOptions, rc resolv.Conf) {
	servers := resolv.Family(rc.Servers, fo.family == rtnl.IPv6)
	c.DNSHost = fo.dnsHost
	if !c.DNSHost.IsValid() && len(servers) > 0 {
		c.DNSHost = servers[0]
	}
	c.DNSForward = dnsForward(fo, servers, c.MapHostLoopback)
	switch {
	case fo.noDNS:
	case len(fo.dns) > 0:
		c.DNS = fo.dns[:min(len(fo.dns), resolv.MaxServers)]
	default:
		c.DNS = guestServers(servers, c.DNSForward)
	}
}

// dnsForward decides the address whose DNS traffic goes to the host's resolver:
// the wished one; else the address of the host's loopback, if the guest may take
// it for a resolver: because it is one of the host's (typically the gateway), or
// because it stands for one on the host's loopback.
func dnsForward(fo familyOptions, servers []netip.Addr, hostLoopback netip.Addr) netip.Addr {
	if fo.dnsForward.IsValid() || fo.noDNS || !hostLoopback.IsValid() {
		return fo.dnsForward
	}
	stands := func(s netip.Addr) bool { return s.IsLoopback() || s == hostLoopback }
	if slices.ContainsFunc(servers, stands) {
		return hostLoopback
	}
	return netip.Addr{}
}

// guestServers lists the host's resolvers as the guest can reach them: a
// loopback one by the forwarded address, if there is one.
func guestServers(servers []netip.Addr, forward netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, s := range servers {
		if s.IsLoopback() {
			s = forward
		}
		if s.IsValid() && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// searchList decides the search domains.
func searchList(o Options, rc resolv.Conf) []string {
	switch {
	case o.NoSearch:
		return nil
	case len(o.Search) > 0:
		return o.Search
	}
	return rc.Search
}

// dnsWarnings reports resolvers that are missing although nobody asked for none.
func dnsWarnings(p Plan, rc resolv.Conf, o Options) (list []string) {
	if o.NoDNS {
		return nil
	}
	known := p.V4.Enabled && len(resolv.Family(rc.Servers, false)) > 0 ||
		p.V6.Enabled && len(resolv.Family(rc.Servers, true)) > 0
	if !known && len(o.DNS) == 0 {
		list = append(list, "Couldn't get any nameserver address")
	}
	if p.Link.SendDNS && p.Link.DHCP && len(p.V4.DNS) == 0 {
		list = append(list, "No IPv4 nameserver available for DHCP")
	}
	if p.Link.SendDNS && (p.Link.RA || p.Link.DHCPv6) && len(p.V6.DNS) == 0 {
		list = append(list, "No IPv6 nameserver available for NDP/DHCPv6")
	}
	return list
}
