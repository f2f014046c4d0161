package netcfg

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// noTemplate is the interface index of local mode.
const noTemplate = 0

// pickTemplate chooses the host interface whose configuration the family
// copies: the wished one if it exists, else that of the first default route, else
// the first with any route. Infos tell what was not clear from the host's state.
func pickTemplate(host HostState, f rtnl.Family, wish string) (index int, infos []string) {
	if l, ok := host.linkNamed(wish); ok {
		return l.Index, nil
	}
	var defaults, all []int
	for _, r := range host.routes(f) {
		if len(r.Hops) == 0 || linkLocalPrefix(r.Dst) {
			continue
		}
		if r.IsDefault() {
			defaults = append(defaults, r.Hops[0].Index)
		}
		all = append(all, r.Hops[0].Index)
	}
	switch {
	case len(defaults) > 1:
		return defaults[0], []string{fmt.Sprintf("Multiple default %s routes, picked first", f)}
	case len(defaults) == 1:
		return defaults[0], nil
	case len(all) == 0:
		return noTemplate, []string{fmt.Sprintf("No interfaces with usable %s routes", f)}
	case slices.ContainsFunc(all, func(i int) bool { return i != all[0] }):
		return all[0], []string{fmt.Sprintf("Multiple interfaces with %s routes, picked first", f)}
	}
	return all[0], nil
}

// linkLocalPrefix tells whether all of a prefix is link-local.
func linkLocalPrefix(p netip.Prefix) bool {
	minBits := 16 // 169.254.0.0/16
	if p.Addr().Is6() {
		minBits = 10 // fe80::/10
	}
	return p.Addr().IsLinkLocalUnicast() && p.Bits() >= minBits
}

// gatewayOf returns the gateway of the first default route of the template that
// has one; of a multipath route, that of the hop with the highest weight, on
// whatever interface.
func gatewayOf(host HostState, f rtnl.Family, template int) netip.Addr {
	for _, r := range host.routes(f) {
		if !r.IsDefault() || !slices.ContainsFunc(r.Hops, onLink(template)) {
			continue
		}
		if gw := heaviest(r.Hops).Gateway; gw.IsValid() && rtnl.FamilyOf(gw) == f {
			return gw.WithZone("")
		}
	}
	return netip.Addr{}
}

// onLink matches next hops on one interface.
func onLink(index int) func(rtnl.Hop) bool {
	return func(h rtnl.Hop) bool { return h.Index == index }
}

// heaviest returns the first of the hops with the highest weight.
func heaviest(hops []rtnl.Hop) rtnl.Hop {
	best := hops[0]
	for _, h := range hops[1:] {
		if h.Weight > best.Weight {
			best = h
		}
	}
	return best
}

// copiedRoutes lists the routes of the template in the form to install in the
// namespace: without output interface, which is not known here, without
// preferred source, and without the state of next hops. A multipath route with
// a hop elsewhere is left out.
func copiedRoutes(host HostState, f rtnl.Family, template int) []rtnl.Route {
	var list []rtnl.Route
	for _, r := range host.routes(f) {
		elsewhere := func(h rtnl.Hop) bool { return h.Index != template }
		if len(r.Hops) == 0 || slices.ContainsFunc(r.Hops, elsewhere) {
			continue
		}
		r.PrefSrc = netip.Addr{}
		r.Hops = slices.Clone(r.Hops)
		for i := range r.Hops {
			r.Hops[i].Index = 0
			r.Hops[i].Flags &= rtnl.HopOnLink | rtnl.HopPervasive
		}
		list = append(list, r)
	}
	return list
}

// defaultRoute is the single route of a namespace that copies none.
func defaultRoute(gateway netip.Addr, onLink bool) rtnl.Route {
	r := rtnl.Route{
		Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Table: rtnl.TableMain,
		Type: rtnl.TypeUnicast, Protocol: rtnl.ProtocolBoot,
		Hops: []rtnl.Hop{{Gateway: gateway}},
	}
	if gateway.Is6() {
		r.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		r.Priority = 1024
	}
	if onLink {
		r.Hops[0].Flags = rtnl.HopOnLink
	}
	return r
}
