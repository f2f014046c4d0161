package netcfg

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// familyOptions are the user's wishes for one IP version.
type familyOptions struct {
	family                        rtnl.Family
	enabled                       bool
	template                      string
	address                       netip.Addr
	prefixLen                     int
	gateway                       netip.Addr
	configNet                     bool
	noCopyAddrs, noCopyRoutes     bool
	outbound                      netip.Addr
	outboundIf                    string
	mapHostLoopback, mapGuestAddr netip.Addr
	noMapGW                       bool
	dns                           []netip.Addr
	noDNS                         bool
	dnsForward, dnsHost           netip.Addr
}

// family extracts the wishes for one IP version.
func (o Options) family(f rtnl.Family) familyOptions {
	fo := familyOptions{
		family: f, enabled: o.V4, template: o.Interface,
		address: o.Address4, prefixLen: o.PrefixLen4, gateway: o.Gateway4,
		configNet: o.ConfigNet, noCopyAddrs: o.NoCopyAddrs, noCopyRoutes: o.NoCopyRoutes,
		outbound: o.Outbound4, outboundIf: o.OutboundIf4,
		mapHostLoopback: o.MapHostLoopback4, mapGuestAddr: o.MapGuestAddr4, noMapGW: o.NoMapGW,
		dns: resolv.Family(o.DNS, false), noDNS: o.NoDNS, dnsForward: o.DNSForward4, dnsHost: o.DNSHost4,
	}
	if f == rtnl.IPv6 {
		fo.enabled, fo.address, fo.prefixLen, fo.gateway = o.V6, o.Address6, guestBits6, o.Gateway6
		fo.outbound, fo.outboundIf = o.Outbound6, o.OutboundIf6
		fo.mapHostLoopback, fo.mapGuestAddr = o.MapHostLoopback6, o.MapGuestAddr6
		fo.dns = resolv.Family(o.DNS, true)
		fo.dnsForward, fo.dnsHost = o.DNSForward6, o.DNSHost6
	}
	if fo.template == "" {
		fo.template = fo.outboundIf
	}
	return fo
}

// guestBits6 is the prefix length of the guest's IPv6 address, whatever the
// host's is: that of an RA that a guest can form addresses from (RFC 4862).
const guestBits6 = 64

// familyPlan is the decision for one IP version.
type familyPlan struct {
	// template is the index of the host interface, or noTemplate.
	template     int
	core         config.Family
	ourLinkLocal netip.Addr
	addrs        []rtnl.Addr
	routes       []rtnl.Route
	// infos and warnings are lines for the log.
	infos, warnings []string
}

// decideFamily works out one IP version.
func decideFamily(host HostState, rc resolv.Conf, fo familyOptions) familyPlan {
	var p familyPlan
	if !fo.enabled {
		return p
	}
	var usable []rtnl.Addr
	p.template, p.infos = pickTemplate(host, fo.family, fo.template)
	if p.template != noTemplate {
		usable = usableAddrs(host, fo.family, p.template)
		if !addressable(fo, usable) {
			p.warnings = unusable(host, fo)
			p.template = noTemplate
		}
	}
	if p.template == noTemplate {
		p.infos = append(p.infos, fmt.Sprintf("%s: no external interface as template, use local mode", fo.family))
		usable = nil
	}
	guest := p.guest(fo, usable)
	gateway := p.gateway(host, fo)
	if fo.family == rtnl.IPv6 {
		p.ourLinkLocal = ourLinkLocal(gateway, linkLocalOf(usable))
	}
	p.core = config.Family{
		Enabled: true, Guest: guest.Addr(), PrefixLen: max(guest.Bits(), 0), Gateway: gateway,
		Our:             ourAddr(gateway, p.ourLinkLocal),
		MapHostLoopback: mapHostLoopback(fo, gateway), MapGuestAddr: fo.mapGuestAddr,
		Outbound: fo.outbound, OutboundIf: fo.outboundIf,
	}
	if fo.family == rtnl.IPv6 && p.template != noTemplate {
		p.core.Scope = uint32(p.template)
	}
	decideDNS(&p.core, fo, rc)
	p.install(host, fo, usable, guest)
	p.warnings = append(p.warnings, p.vain(host, fo)...)
	return p
}

// unusable reports that the wished template, if there was a wish, is none.
func unusable(host HostState, fo familyOptions) []string {
	if _, ok := host.linkNamed(fo.template); !ok {
		return nil
	}
	return []string{fmt.Sprintf("%s: interface %s has no address to take, use local mode", fo.family, fo.template)}
}

// addressable tells whether a template is of use: IPv6 does without a global
// address, a guest without IPv4 address could not speak at all.
func addressable(fo familyOptions, usable []rtnl.Addr) bool {
	return fo.family == rtnl.IPv6 || fo.address.IsValid() || pickAddress(usable).IsValid()
}

// guest decides the address of the guest with its prefix length; invalid: none
// to assign.
func (p familyPlan) guest(fo familyOptions, usable []rtnl.Addr) netip.Prefix {
	picked := pickAddress(usable)
	if p.template == noTemplate && fo.family == rtnl.IPv4 {
		picked = localGuest4
	}
	bits := picked.Bits()
	if fo.address.IsValid() {
		picked = netip.PrefixFrom(fo.address, fo.address.BitLen())
		bits = picked.Bits()
		if fo.family == rtnl.IPv4 {
			bits = classBits(fo.address)
		}
	}
	if fo.prefixLen > 0 {
		bits = fo.prefixLen
	}
	if !picked.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(picked.Addr(), bits)
}

// gateway decides the guest's default gateway; invalid: none.
func (p familyPlan) gateway(host HostState, fo familyOptions) netip.Addr {
	switch {
	case fo.gateway.IsValid():
		return fo.gateway
	case p.template != noTemplate:
		return gatewayOf(host, fo.family, p.template)
	case fo.family == rtnl.IPv6:
		return localGateway6
	}
	return localGateway4
}

// install lists the addresses and routes for the namespace.
func (p *familyPlan) install(host HostState, fo familyOptions, usable []rtnl.Addr, guest netip.Prefix) {
	local := p.template == noTemplate
	if !fo.address.IsValid() && !fo.noCopyAddrs && !local {
		p.addrs = copiedAddrs(usable)
	}
	if len(p.addrs) == 0 {
		p.addrs = singleAddr(guest)
	}
	switch gw := p.core.Gateway; {
	case !fo.gateway.IsValid() && !fo.noCopyRoutes && !local:
		p.routes = copiedRoutes(host, fo.family, p.template)
	case gw.IsValid():
		p.routes = []rtnl.Route{defaultRoute(gw, !covered(gw, p.addrs))}
	}
}

// covered tells whether the namespace reaches an address directly once addrs
// are there. Any IPv6 interface reaches link-local addresses.
func covered(a netip.Addr, addrs []rtnl.Addr) bool {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(addrs, func(have rtnl.Addr) bool {
		net := have.Prefix
		if have.Peer.IsValid() {
			net = netip.PrefixFrom(have.Peer, net.Bits())
		}
		return net.Contains(a)
	})
}

// ourLinkLocal decides the source of NDP and DHCPv6: the gateway if it is
// link-local, else the template's own address.
func ourLinkLocal(gateway, template netip.Addr) netip.Addr {
	switch {
	case gateway.IsLinkLocalUnicast():
		return gateway
	case template.IsValid():
		return template
	}
	return localGateway6
}

// ourAddr decides our address on the tap: the gateway, or for IPv6 the
// link-local one if there is no gateway.
func ourAddr(gateway, linkLocal netip.Addr) netip.Addr {
	if gateway.IsValid() {
		return gateway
	}
	return linkLocal
}

// mapHostLoopback decides what the guest reaches the host's loopback by.
func mapHostLoopback(fo familyOptions, gateway netip.Addr) netip.Addr {
	if fo.mapHostLoopback.IsValid() || fo.noMapGW {
		return fo.mapHostLoopback
	}
	return gateway
}
