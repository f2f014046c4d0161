package netcfg

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// Options given in vain are no errors, because they are none to callers of the
// original; but whoever gave one has to hear of it.

// inVain words the warning about options without effect.
func inVain(why string, options ...string) string {
	return strings.Join(options, ", ") + ": no effect, " + why
}

// offWarnings reports options about an IP version that is not in use.
func offWarnings(host HostState, o Options) (list []string) {
	for _, v := range []struct {
		family rtnl.Family
		off    bool
		why    string
	}{
		{rtnl.IPv4, !o.V4, "IPv4 is switched off by --ipv6-only"},
		{rtnl.IPv6, !o.V6, "IPv6 is switched off by --ipv4-only"},
		{rtnl.IPv6, o.V6 && host.NoIPv6, "IPv6 is disabled in the kernel"},
	} {
		if given := o.family(v.family).given(); v.off && len(given) > 0 {
			list = append(list, inVain(v.why, given...))
		}
	}
	return list
}

// given lists the options about this IP version, except those that are in every
// command line of Podman whatever its user asked for.
func (fo familyOptions) given() (list []string) {
	add := func(option string, addrs ...netip.Addr) {
		for _, a := range addrs {
			if a.IsValid() {
				list = append(list, fmt.Sprintf("%s %s", option, a))
			}
		}
	}
	add("--address", fo.address)
	if fo.lengthAlone() {
		list = append(list, fmt.Sprintf("--netmask %d", fo.prefixLen))
	}
	add("--gateway", fo.gateway)
	add("--outbound", fo.outbound)
	if fo.outboundIf != "" {
		list = append(list, fo.outboundIfOption())
	}
	add("--dns", fo.dns...)
	if !podmansOwn(fo.dnsForward) {
		add("--dns-forward", fo.dnsForward)
	}
	add("--dns-host", fo.dnsHost)
	add("--map-host-loopback", fo.mapHostLoopback)
	if !podmansOwn(fo.mapGuestAddr) {
		add("--map-guest-addr", fo.mapGuestAddr)
	}
	return list
}

// podmansOwn tells whether an address is like those that Podman chooses for
// --dns-forward and --map-guest-addr: 169.254.1.1 and so on.
func podmansOwn(a netip.Addr) bool { return a.Is4() && a.IsLinkLocalUnicast() }

// lengthAlone tells whether -n was given without an address for it.
func (fo familyOptions) lengthAlone() bool {
	return fo.family == rtnl.IPv4 && fo.prefixLen > 0 && !fo.address.IsValid()
}

func (fo familyOptions) outboundIfOption() string {
	version := "4"
	if fo.family == rtnl.IPv6 {
		version = "6"
	}
	return "--outbound-if" + version + " " + fo.outboundIf
}

// vain reports options about an IP version in use that have no effect beside the
// rest of the plan, or on this host.
func (p familyPlan) vain(host HostState, fo familyOptions) (list []string) {
	list = p.vainAddresses(fo)
	if fo.dnsHost.IsValid() && !p.core.DNSForward.IsValid() {
		list = append(list, inVain("no "+fo.family.String()+" address is forwarded to it: give --dns-forward", "--dns-host "+fo.dnsHost.String()))
	}
	copied := fo.configNet && !fo.noCopyAddrs && p.template != noTemplate
	if fo.lengthAlone() && copied {
		list = append(list, fmt.Sprintf("--netmask %d: no effect on addresses copied from the host, give --address too", fo.prefixLen))
	}
	if a := fo.outbound; a.IsValid() && !a.IsLoopback() && !host.has(a) {
		list = append(list, fmt.Sprintf("--outbound %s: no address of the host, which chooses another one as long as that is so", a))
	}
	if _, ok := host.linkNamed(fo.outboundIf); fo.outboundIf != "" && !ok {
		list = append(list, fo.outboundIfOption()+": no such interface, flows are not bound to it as long as that is so")
	}
	return list
}

// vainAddresses reports addresses that packets of the namespace never get to, or
// get to for another reason.
func (p familyPlan) vainAddresses(fo familyOptions) (list []string) {
	for _, v := range []struct {
		option string
		addr   netip.Addr
	}{
		{"--gateway", fo.gateway},
		{"--map-host-loopback", fo.mapHostLoopback},
		{"--map-guest-addr", fo.mapGuestAddr},
		{"--dns-forward", fo.dnsForward},
	} {
		if v.addr.IsValid() && p.guestHas(v.addr, fo.configNet) {
			list = append(list, inVain("the namespace has that address itself", fmt.Sprintf("%s %s", v.option, v.addr)))
		}
	}
	if a := fo.mapGuestAddr; a.IsValid() && a == p.core.MapHostLoopback {
		list = append(list, inVain("that address leads to the host's loopback: choose another",
			fmt.Sprintf("--map-guest-addr %s", a)))
	}
	return list
}

// guestHas tells whether the guest has an address by this plan: its own, and if the
// namespace is configured all that are copied.
func (p familyPlan) guestHas(a netip.Addr, configured bool) bool {
	copied := func(have rtnl.Addr) bool { return have.Prefix.Addr() == a }
	return a == p.core.Guest || configured && slices.ContainsFunc(p.addrs, copied)
}

// has tells whether an interface of the host has an address.
func (s HostState) has(a netip.Addr) bool {
	return slices.ContainsFunc(s.Addrs, func(have rtnl.Addr) bool { return have.Prefix.Addr() == a })
}

// serviceWarnings reports what is to be told to the namespace, and no service tells.
func serviceWarnings(l config.Link, o Options) (list []string) {
	note := func(vain bool, option, why string) {
		if vain {
			list = append(list, inVain(why, option))
		}
	}
	none := !l.DHCP && !l.DHCPv6 && !l.RA
	note(len(o.DNS) > 0 && !o.SendDNS, "--dns", "namespaces are told it only with --dhcp-dns")
	note(len(o.Search) > 0 && !o.SendSearch, "--search", "namespaces are told it only with --dhcp-search")
	note(o.SendDNS && none, "--dhcp-dns", "DHCP, DHCPv6 and router advertisements are off")
	note(o.SendSearch && none, "--dhcp-search", "DHCP, DHCPv6 and router advertisements are off")
	note(o.Hostname != "" && !l.DHCP, "--hostname", "DHCP is off")
	note(o.FQDN != "" && !l.DHCP && !l.DHCPv6, "--fqdn", "DHCP and DHCPv6 are off")
	return list
}
