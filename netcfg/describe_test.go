package netcfg

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// describe renders the decision as lines that tests compare: per family one
// line of addressing and one of DNS, then services, namespace and messages. Parts
// that are not there are left out.
func describe(p Plan) string {
	var b strings.Builder
	family := func(name, template string, c config.Family) {
		if !c.Enabled {
			return
		}
		fmt.Fprintf(&b, "%s:%s%s%s%s%s%s\n", name, part("template", template), prefixPart(c),
			addrPart("gw", c.Gateway), addrPart("our", c.Our),
			addrPart("lo", c.MapHostLoopback), addrPart("map-guest", c.MapGuestAddr))
		dns := addrPart("forward", c.DNSForward) + addrPart("host", c.DNSHost)
		for _, a := range c.DNS {
			dns += " " + a.String()
		}
		if dns != "" {
			fmt.Fprintf(&b, "dns%s:%s\n", name[1:], dns)
		}
	}
	family("v4", p.Template4, p.V4)
	family("v6", p.Template6, p.V6)
	fmt.Fprintf(&b, "link:%s%s\n", addrPart("ll", p.OurLinkLocal), services(p.Link))
	fmt.Fprintf(&b, "if: %s\n", p.Namespace.IfName)
	for _, a := range p.Namespace.Addrs {
		fmt.Fprintf(&b, "addr %s%s\n", a.Prefix, addrPart("peer", a.Peer))
	}
	for _, r := range p.Namespace.Routes {
		fmt.Fprintf(&b, "route %s\n", routeText(r))
	}
	for _, s := range p.Infos {
		fmt.Fprintf(&b, "info %s\n", s)
	}
	for _, s := range p.Warnings {
		fmt.Fprintf(&b, "warn %s\n", s)
	}
	return b.String()
}

func part(name, value string) string {
	if value == "" {
		return ""
	}
	return " " + name + " " + value
}

func addrPart(name string, a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return part(name, a.String())
}

func prefixPart(c config.Family) string {
	if !c.Guest.IsValid() {
		return ""
	}
	return fmt.Sprintf(" guest %s/%d", c.Guest, c.PrefixLen)
}

func services(l config.Link) (s string) {
	for _, v := range []struct {
		name string
		on   bool
	}{{"dhcp", l.DHCP}, {"dhcpv6", l.DHCPv6}, {"ndp", l.NDP}, {"ra", l.RA}} {
		if v.on {
			s += " " + v.name
		}
	}
	return s
}

// routeText renders a route the way ip-route(8) would, without interface.
func routeText(r rtnl.Route) string {
	s := r.Dst.String()
	if r.Src.IsValid() {
		s += " from " + r.Src.String()
	}
	for _, h := range r.Hops {
		s += addrPart("via", h.Gateway)
		if h.Weight > 0 {
			s += fmt.Sprintf(" weight %d", h.Weight)
		}
		if h.Flags&rtnl.HopOnLink != 0 {
			s += " onlink"
		}
		if h.Index != 0 {
			s += fmt.Sprintf(" on %d", h.Index)
		}
	}
	if r.Priority != 0 {
		s += fmt.Sprintf(" metric %d", r.Priority)
	}
	if r.Scope == rtnl.ScopeLink {
		s += " link"
	}
	for _, m := range r.Metrics {
		s += fmt.Sprintf(" attr %d=%d%s", m.Kind, m.Value, m.Name)
	}
	return s + addrPart("src", r.PrefSrc)
}
