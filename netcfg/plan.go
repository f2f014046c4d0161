package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// localIfName is the name of the namespace interface without any template.
const localIfName = "tap0"

// defaultTxQLen is the queue of the namespace interface in packets, the
// kernel's default for Ethernet. TCP sizes its windows to fit into it.
const defaultTxQLen = 1000

// Plan is what a run shall look like: addressing for the core and, for the
// namespace, what ConfigureNamespace puts into place.
type Plan struct {
	// Template4, Template6 name the host interfaces that were copied; empty
	// in local mode and for a disabled family.
	Template4, Template6 string
	// V4, V6, OurLinkLocal and Link are for config.Config.
	V4, V6       config.Family
	OurLinkLocal netip.Addr
	Link         config.Link
	// OurMAC is the source of our frames.
	OurMAC [6]byte
	// Namespace is the side of the guest.
	Namespace NamespacePlan
	// Warnings and Infos are lines for the log, at these levels.
	Warnings, Infos []string
}

// NamespacePlan is the wanted state of the guest's network namespace.
type NamespacePlan struct {
	// IfName is the name of the tap interface; empty: there is none, and only
	// lo is set up.
	IfName string
	// Configure is --config-net. Without it only lo is set up, and MAC.
	Configure bool
	// MTU in bytes (0: leave it), TxQLen in packets.
	MTU, TxQLen int
	// MAC of the interface; nil: the kernel's choice.
	MAC *[6]byte
	// Addrs and Routes are installed in this order. Interface indices are
	// zero: they become that of the tap.
	Addrs  []rtnl.Addr
	Routes []rtnl.Route
}

// Config returns the part of the run configuration that follows from the plan;
// protocols, listeners, timeouts and offloads are left to the caller.
func (p Plan) Config() config.Config {
	return config.Config{
		MTU: p.Namespace.MTU, OurMAC: p.OurMAC,
		V4: p.V4, V6: p.V6, OurLinkLocal: p.OurLinkLocal, Link: p.Link,
	}
}

// Decide works out the plan from the host's state, its resolvers and the
// user's wishes. Errors are wishes that the host cannot fulfil, in the words
// that callers of pasta know.
func Decide(host HostState, rc resolv.Conf, o Options) (Plan, error) {
	if err := checkOptions(host, o); err != nil {
		return Plan{}, err
	}
	var p Plan
	off := offWarnings(host, o)
	if o.V6 && host.NoIPv6 {
		o.V6 = false
		p.Infos = append(p.Infos, "IPv6: disabled in the kernel, not used")
	}
	if o.NoInterface {
		return p.withoutInterface(o), nil
	}
	v4 := decideFamily(host, rc, o.family(rtnl.IPv4))
	v6 := decideFamily(host, rc, o.family(rtnl.IPv6))
	p.V4, p.V6, p.OurLinkLocal = v4.core, v6.core, v6.ourLinkLocal
	p.Template4, p.Template6 = host.linkName(v4.template), host.linkName(v6.template)
	p.OurMAC = o.OurMAC
	p.Link = decideLink(p, o, rc)
	p.Namespace = NamespacePlan{
		IfName: ifName(p, o), Configure: o.ConfigNet, MTU: assignedMTU(o), TxQLen: defaultTxQLen, MAC: o.NsMAC,
	}
	if o.ConfigNet {
		p.Namespace.Addrs = append(v4.addrs, v6.addrs...)
		p.Namespace.Routes = append(v4.routes, v6.routes...)
	}
	p.Infos = append(append(p.Infos, v4.infos...), v6.infos...)
	p.Warnings = slices.Concat(
		off, v4.warnings, v6.warnings, mtuWarnings(p, o), dnsWarnings(p, rc, o), serviceWarnings(p.Link, o),
	)
	return p, nil
}

// withoutInterface leaves out all that is about an interface in the namespace.
func (p Plan) withoutInterface(o Options) Plan {
	p.V4.Enabled, p.V6.Enabled = o.V4, o.V6
	p.OurMAC = o.OurMAC
	return p
}

// NoInterfaceError is the wish for a template interface that is not there.
type NoInterfaceError struct{ Name string }

// Error returns the text that callers of pasta know.
func (e *NoInterfaceError) Error() string {
	return "Invalid interface name " + e.Name + ": No such device"
}

// checkOptions finds wishes that contradict the host's state.
func checkOptions(host HostState, o Options) error {
	if _, ok := host.linkNamed(o.Interface); o.Interface != "" && !ok {
		return &NoInterfaceError{Name: o.Interface}
	}
	if !o.V4 && (!o.V6 || host.NoIPv6) {
		return errors.New("IPv4 is switched off and IPv6 is disabled in the kernel: no protocol left")
	}
	if mtu := assignedMTU(o); o.ConfigNet && !o.NoInterface && !o.V4 && mtu != 0 && mtu < minMTU6 {
		return fmt.Errorf("MTU %d is too small for IPv6 (minimum %d), and IPv4 is switched off: raise --mtu, or give no --ipv6-only",
			mtu, minMTU6)
	}
	return nil
}

// ifName names the namespace interface: as wished, else like its template.
func ifName(p Plan, o Options) string {
	for _, name := range []string{o.NsIfName, p.Template4, p.Template6} {
		if name != "" {
			return name
		}
	}
	return localIfName
}

// decideLink selects the link services. --config-net already sets what an RA
// would announce, and there is no DHCP without a router or an address to tell.
func decideLink(p Plan, o Options, rc resolv.Conf) config.Link {
	ndp := p.V6.Enabled && !o.NoNDP
	return config.Link{
		DHCP:       p.V4.Gateway.IsValid() && p.V4.Guest.IsValid() && !o.NoDHCP,
		DHCPv6:     p.V6.Guest.IsValid() && !o.NoDHCPv6,
		NDP:        ndp,
		RA:         ndp && !o.NoRA && !o.ConfigNet,
		SendDNS:    o.SendDNS,
		SendSearch: o.SendSearch,
		Search:     searchList(o, rc),
		Hostname:   o.Hostname,
		FQDN:       o.FQDN,
	}
}

// mtuWarnings reports an MTU that a family cannot work with (RFC 791 section
// 3.2, RFC 8200 section 5).
func mtuWarnings(p Plan, o Options) (list []string) {
	if p.V4.Enabled && o.MTU < minMTU4 {
		list = append(list, fmt.Sprintf("MTU %d is too small for IPv4 (minimum %d)", o.MTU, minMTU4))
	}
	if p.V6.Enabled && o.MTU < minMTU6 {
		list = append(list, fmt.Sprintf("MTU %d is too small for IPv6 (minimum %d)", o.MTU, minMTU6))
	}
	if o.MTU != assignedMTU(o) {
		list = append(list, fmt.Sprintf("MTU %d is not assigned, as with --mtu 0: no interface takes less than %d", o.MTU, minMTU4))
	}
	return list
}

// assignedMTU is the MTU that the interface gets and the link services tell; 0:
// none. What the kernel refuses is not assigned, but no error: the original
// leaves the interface as it is, too.
func assignedMTU(o Options) int {
	if o.MTU < minMTU4 {
		return 0
	}
	return o.MTU
}

// Smallest MTU of each family in bytes; that of IPv4 is what the kernel has as
// minimum of a tap, whatever the family (ETH_MIN_MTU).
const (
	minMTU4 = 68
	minMTU6 = 1280
)
