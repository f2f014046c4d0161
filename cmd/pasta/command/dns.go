package command

import (
	"net/netip"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

const (
	// maxResolvers is the largest number of resolvers of one family.
	maxResolvers = 3
	// maxSearch is the largest number of search domains.
	maxSearch = 6
)

// dnsOptions are the options of pasta-cli.md section 2.3 about name resolution.
func (s *settings) dnsOptions() []option {
	n := &s.opts.Net
	return []option{
		{
			name: "dns", short: "D", set: s.dns, def: "from resolv.conf",
			usage: "With --dhcp-dns, tell the namespace resolver `ADDR`, up to three per family, or none",
		},
		{
			name: "dns-forward", set: s.dnsForward,
			usage: "Send queries to `ADDR`, once per family, to the host's resolver",
		},
		{
			name: "dns-host", set: s.dnsHost, def: "first resolver of resolv.conf",
			usage: "Host's resolver `ADDR`, once per family, for --dns-forward",
		},
		{
			name: "search", short: "S", set: s.search, def: "from resolv.conf",
			usage: "With --dhcp-search, tell search domains `LIST`, separated by spaces, up to six, or none",
		},
		{name: "dhcp-dns", on: getopt.TurnOn(&n.SendDNS), usage: "Send resolvers by DHCP, DHCPv6 and NDP"},
		{name: "dhcp-search", on: getopt.TurnOn(&n.SendSearch), usage: "Send search domains by DHCP, DHCPv6 and NDP"},
		{name: "hostname", short: "H", set: s.hostname, usage: "Send host name `NAME` by DHCP"},
		{name: "fqdn", set: s.fqdn, usage: "Send fully qualified name `NAME` by DHCP and DHCPv6"},
	}
}

// dns adds a resolver. "none" takes back every DNS address given so far.
func (s *settings) dns(text string) error {
	n := &s.opts.Net
	if text == "none" {
		n.NoDNS, n.DNS = true, nil
		n.DNSForward4, n.DNSForward6 = netip.Addr{}, netip.Addr{}
		n.DNSHost4, n.DNSHost6 = netip.Addr{}, netip.Addr{}
		return nil
	}
	a, ok := parseAddr(text, refuse{})
	if !ok {
		return cmdline.Errorf("Cannot use DNS address %s", text)
	}
	n.NoDNS = false
	if countFamily(n.DNS, a.Is4()) == maxResolvers {
		s.warn("--dns %s: no effect, %d resolvers of a family are the most", a, maxResolvers)
		return nil
	}
	n.DNS = append(n.DNS, a)
	return nil
}

func countFamily(list []netip.Addr, v4 bool) (n int) {
	for _, a := range list {
		if a.Is4() == v4 {
			n++
		}
	}
	return n
}

func (s *settings) dnsForward(text string) error {
	a, ok := parseAddr(text, refuse{loopback: true, broadcast: true})
	if !ok {
		return cmdline.Errorf("Invalid DNS forwarding address: %s", text)
	}
	perFamily(a, &s.opts.Net.DNSForward4, &s.opts.Net.DNSForward6)
	return nil
}

func (s *settings) dnsHost(text string) error {
	a, ok := parseAddr(text, refuse{})
	if !ok {
		return cmdline.Errorf("Invalid host nameserver address: %s", text)
	}
	perFamily(a, &s.opts.Net.DNSHost4, &s.opts.Net.DNSHost6)
	return nil
}

// search adds search domains. QEMU passes all of them in one argument.
func (s *settings) search(text string) error {
	n := &s.opts.Net
	if text == "none" {
		n.NoSearch, n.Search = true, nil
		return nil
	}
	domains := strings.Fields(text)
	if len(domains) == 0 {
		return cmdline.Errorf("Cannot use DNS search domain %s", text)
	}
	n.NoSearch = false
	for _, domain := range domains {
		if !validDomain(domain) {
			return cmdline.Errorf("Cannot use DNS search domain %s", domain)
		}
		if len(n.Search) == maxSearch {
			s.warn("--search %s: no effect, %d domains are the most", domain, maxSearch)
			continue
		}
		n.Search = append(n.Search, domain)
	}
	return nil
}

// hostname sets -H, which a DHCP option of at most 255 bytes carries.
func (s *settings) hostname(name string) error {
	if len(name) > 255 {
		return cmdline.Errorf("Invalid hostname: %s", name)
	}
	s.opts.Net.Hostname = name
	return nil
}

func (s *settings) fqdn(name string) error {
	if !validDomain(name) {
		return cmdline.Errorf("Invalid FQDN: %s", name)
	}
	s.opts.Net.FQDN = name
	return nil
}
