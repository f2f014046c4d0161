package netcfg

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
)

// Summary is the text that tells at start-up how the guest is addressed and
// what is forwarded, as lines that end with a newline each. Parts that do not
// apply are left out. Inbound rules listen on the host, splice rules in the
// namespace.
func (p Plan) Summary(inbound, splice []fwd.Rule) string {
	var s summary
	s.interfaces("Template interface", p.Template4, p.Template6)
	s.interfaces("Outbound interface", p.V4.OutboundIf, p.V6.OutboundIf)
	s.addr("Outbound IPv4 address: ", p.V4.Outbound)
	s.addr("Outbound IPv6 address: ", p.V6.Outbound)
	if p.Namespace.IfName != "" {
		s.line("Namespace interface: %s", p.Namespace.IfName)
	}
	s.line("MAC:")
	s.line("    host: %s", net.HardwareAddr(p.OurMAC[:]))
	if p.V4.Enabled && p.Namespace.IfName != "" {
		s.ipv4(p)
	}
	if p.V6.Enabled && p.Namespace.IfName != "" {
		s.ipv6(p)
	}
	s.rules("Inbound forwarding rules (HOST):", inbound)
	s.rules("Outbound forwarding rules (SPLICE):", splice)
	return s.String()
}

// summary collects lines.
type summary struct{ strings.Builder }

func (s *summary) line(format string, args ...any) {
	fmt.Fprintf(s, format+"\n", args...)
}

// interfaces names the interface of each family that has one.
func (s *summary) interfaces(title, v4, v6 string) {
	var list []string
	if v4 != "" {
		list = append(list, v4+" (IPv4)")
	}
	if v6 != "" {
		list = append(list, v6+" (IPv6)")
	}
	if len(list) > 0 {
		s.line("%s: %s", title, strings.Join(list, ", "))
	}
}

// addr writes one line about an address, if there is one.
func (s *summary) addr(title string, a netip.Addr) {
	if a.IsValid() {
		s.line("%s%s", title, a)
	}
}

func (s *summary) ipv4(p Plan) {
	s.addr("    NAT to host 127.0.0.1: ", p.V4.MapHostLoopback)
	if p.Link.DHCP {
		mask := net.CIDRMask(p.V4.PrefixLen, 32)
		s.line("DHCP:")
		s.line("    assign: %s", p.V4.Guest)
		s.line("    mask: %s", net.IP(mask))
		s.line("    router: %s", p.V4.Gateway)
	}
	s.dns(p.V4, p.Link)
}

func (s *summary) ipv6(p Plan) {
	s.addr("    NAT to host ::1: ", p.V6.MapHostLoopback)
	if title := ndpTitle(p.Link); title != "" {
		s.line("%s:", title)
		s.line("    assign: %s", orUnspecified(p.V6.Guest))
		s.line("    router: %s", orUnspecified(p.V6.Gateway))
		s.line("    our link-local: %s", p.OurLinkLocal)
	}
	s.dns(p.V6, p.Link)
}

// ndpTitle names the services that tell a guest about IPv6; empty if none does.
func ndpTitle(l config.Link) string {
	switch {
	case l.NDP && l.DHCPv6:
		return "NDP/DHCPv6"
	case l.DHCPv6:
		return "DHCPv6"
	case l.NDP:
		return "NDP"
	}
	return ""
}

// orUnspecified shows "::" for an IPv6 address that is not there.
func orUnspecified(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv6Unspecified()
	}
	return a
}

// dns lists the resolvers of a family, and then the search domains.
func (s *summary) dns(c config.Family, l config.Link) {
	if len(c.DNS) > 0 {
		s.line("DNS:")
	}
	for _, a := range c.DNS {
		s.line("    %s", a)
	}
	if len(l.Search) > 0 {
		s.line("DNS search list:")
	}
	for _, d := range l.Search {
		s.line("    %s", d)
	}
}

// rules lists forwards, if any.
func (s *summary) rules(title string, rules []fwd.Rule) {
	if len(rules) > 0 {
		s.line("%s", title)
	}
	for _, r := range rules {
		s.line("    %s", r)
	}
}
