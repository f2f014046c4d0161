package netcfg

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// loopbackIndex is the index of lo, the same in every network namespace
// (LOOPBACK_IFINDEX of the kernel).
const loopbackIndex = 1

// Applied is what ConfigureNamespace found and could not do.
type Applied struct {
	// Index and MAC are those of the tap interface.
	Index int
	MAC   [6]byte
	// Warnings are lines for the log: parts of the plan that the namespace
	// does not allow, while the rest works.
	Warnings []string
}

// ConfigureNamespace carries out the plan in the namespace of k, where the tap
// interface exists already. Without Configure it only sets lo up and the MAC of
// the tap. On error the namespace is left half-configured, for the caller to
// give up. It costs one short netlink exchange per address and route.
func ConfigureNamespace(k Kernel, n NamespacePlan) (Applied, error) {
	if err := k.SetLink(loopbackIndex, rtnl.LinkChange{Up: rtnl.LinkUp}); err != nil {
		return Applied{}, fmt.Errorf("set up loopback: %w", err)
	}
	if n.IfName == "" {
		return Applied{}, nil
	}
	tap, err := k.Link(n.IfName)
	if err != nil {
		return Applied{}, err
	}
	a := applier{kernel: k, index: tap.Index, plan: n}
	a.done = Applied{Index: tap.Index, MAC: macOf(tap, n)}
	switch {
	case n.Configure:
		err = a.configure(tap)
	case n.MAC != nil:
		err = k.SetLink(tap.Index, rtnl.LinkChange{MAC: n.MAC})
	}
	return a.done, err
}

// Inspect finds the interface called name in the namespace of k and changes nothing.
func Inspect(k Kernel, name string) (Applied, error) {
	link, err := k.Link(name)
	if err != nil {
		return Applied{}, err
	}
	return Applied{Index: link.Index, MAC: macOf(link, NamespacePlan{})}, nil
}

// macOf returns the MAC that the tap has or gets; zero if it cannot have one.
func macOf(tap rtnl.Link, n NamespacePlan) (mac [6]byte) {
	if n.MAC != nil {
		return *n.MAC
	}
	if hw, err := net.ParseMAC(tap.MAC); err == nil {
		copy(mac[:], hw)
	}
	return mac
}

// applier carries out --config-net.
type applier struct {
	kernel Kernel
	index  int
	plan   NamespacePlan
	done   Applied
}

// configure sets up link, IPv4, then IPv6. Duplicate address detection would
// make IPv6 addresses unusable for a second; NOARP keeps the kernel from starting
// it for the link-local address that it makes when the link comes up. NOARP is
// cleared before IPv6 addresses are added: they join their solicited-node group
// only then, and have a flag of their own against detection.
func (a *applier) configure(tap rtnl.Link) error {
	err := a.kernel.SetLink(a.index, rtnl.LinkChange{
		Up: rtnl.LinkUp | rtnl.LinkNoARP, MTU: a.plan.MTU, TxQLen: a.plan.TxQLen, MAC: a.plan.MAC,
	})
	if err != nil {
		return err
	}
	if err := a.install(rtnl.IPv4); err != nil {
		return err
	}
	if obstacle := a.ipv6Obstacle(tap); obstacle != "" {
		a.warnWithoutIPv6(obstacle)
		return a.allowARP()
	}
	linkLocal, err := a.takeLinkLocal()
	if err != nil {
		return err
	}
	if err := a.allowARP(); err != nil {
		return err
	}
	if err := a.addAddrs(linkLocal); err != nil {
		return err
	}
	return a.install(rtnl.IPv6)
}

// allowARP clears NOARP.
func (a *applier) allowARP() error {
	return a.kernel.SetLink(a.index, rtnl.LinkChange{Down: rtnl.LinkNoARP})
}

// ipv6Obstacle tells why the tap can have no IPv6 address; empty if it can.
func (a *applier) ipv6Obstacle(tap rtnl.Link) string {
	switch {
	case tap.IPv6 == rtnl.IPv6Off:
		return "disabled by the sysctl net.ipv6.conf." + tap.Name + ".disable_ipv6"
	case a.plan.MTU != 0 && a.plan.MTU < minMTU6:
		return fmt.Sprintf("MTU %d is below %d: raise --mtu, or do without IPv6", a.plan.MTU, minMTU6)
	case tap.IPv6 == rtnl.IPv6Absent:
		return "not available in the kernel"
	}
	return ""
}

// warnWithoutIPv6 reports that the IPv6 part of the plan, if any, is left out.
func (a *applier) warnWithoutIPv6(obstacle string) {
	if len(a.addrs(rtnl.IPv6))+len(a.routes(rtnl.IPv6)) > 0 {
		a.warn("IPv6 not configured on %s in the namespace: %s", a.plan.IfName, obstacle)
	}
}

// takeLinkLocal removes the link-local addresses that came with the link and
// returns them in the form to add again, without duplicate detection. Setting
// that flag on the address in place comes too late: Linux 6.18 still delays it
// by up to a second if its own work queue is slower than we are.
func (a *applier) takeLinkLocal() ([]rtnl.Addr, error) {
	addrs, err := a.kernel.Addrs(rtnl.IPv6)
	if err != nil {
		return nil, err
	}
	var taken []rtnl.Addr
	for _, addr := range addrs {
		if addr.Index != a.index || !addr.Prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		if err := a.kernel.DelAddr(addr); err != nil {
			return nil, err
		}
		addr.Flags = addr.Flags&^rtnl.AddrTentative | rtnl.AddrNoDAD
		taken = append(taken, addr)
	}
	return taken, nil
}

// install adds the addresses and routes of one family.
func (a *applier) install(f rtnl.Family) error {
	if err := a.addAddrs(a.addrs(f)); err != nil {
		return err
	}
	return a.installRoutes(a.routes(f))
}

// addAddrs adds addresses; those that are there already are fine.
func (a *applier) addAddrs(addrs []rtnl.Addr) error {
	for _, addr := range addrs {
		if err := a.kernel.AddAddr(addr); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return nil
}

// addrs lists the planned addresses of one family, on the tap.
func (a *applier) addrs(f rtnl.Family) []rtnl.Addr {
	var list []rtnl.Addr
	for _, addr := range a.plan.Addrs {
		if rtnl.FamilyOf(addr.Prefix.Addr()) == f {
			addr.Index = a.index
			list = append(list, addr)
		}
	}
	return list
}

// routes lists the planned routes of one family, on the tap.
func (a *applier) routes(f rtnl.Family) []rtnl.Route {
	var list []rtnl.Route
	for _, r := range a.plan.Routes {
		if r.Family() != f {
			continue
		}
		r.Hops = slices.Clone(r.Hops)
		for i := range r.Hops {
			r.Hops[i].Index = a.index
		}
		list = append(list, r)
	}
	return list
}

// installRoutes adds routes whose gateways may be reachable only through others
// of the set: it goes through the set again as long as that gets one in. Routes
// that the addresses brought along already are fine; those that stay
// unreachable are reported.
func (a *applier) installRoutes(routes []rtnl.Route) error {
	for {
		var waiting []rtnl.Route
		var reasons []error
		for _, r := range routes {
			err := a.kernel.AddRoute(r)
			switch {
			case err == nil || errors.Is(err, syscall.EEXIST):
			case errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH):
				waiting, reasons = append(waiting, r), append(reasons, err)
			default:
				return err
			}
		}
		if len(waiting) == 0 || len(waiting) == len(routes) {
			for _, err := range reasons {
				a.warn("route left out: %v", err)
			}
			return nil
		}
		routes = waiting
	}
}

func (a *applier) warn(format string, args ...any) {
	a.done.Warnings = append(a.done.Warnings, fmt.Sprintf(format, args...))
}
