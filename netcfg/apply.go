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

// configure sets up link, IPv4, then IPv6. While the link comes up, NOARP keeps
// the kernel from probing for duplicates of its link-local address, which would
// leave that unusable for a second. NOARP is cleared before further IPv6
// addresses are added, as their solicited-node groups are joined only then.
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
	obstacle := a.ipv6Obstacle(tap)
	if obstacle == "" {
		if err := a.skipDAD(); err != nil {
			return err
		}
	}
	if err := a.kernel.SetLink(a.index, rtnl.LinkChange{Down: rtnl.LinkNoARP}); err != nil {
		return err
	}
	if obstacle != "" {
		a.warnWithoutIPv6(obstacle)
		return nil
	}
	return a.install(rtnl.IPv6)
}

// ipv6Obstacle tells why the tap can have no IPv6 address; empty if it can.
func (a *applier) ipv6Obstacle(tap rtnl.Link) string {
	switch {
	case tap.IPv6 == rtnl.IPv6Off:
		return "disabled by the sysctl net.ipv6.conf." + tap.Name + ".disable_ipv6"
	case a.plan.MTU != 0 && a.plan.MTU < minMTU6:
		return fmt.Sprintf("MTU %d is below %d", a.plan.MTU, minMTU6)
	case tap.IPv6 == rtnl.IPv6Absent:
		return "not available in the kernel"
	}
	return ""
}

// warnWithoutIPv6 reports that the IPv6 part of the plan, if any, is left out.
func (a *applier) warnWithoutIPv6(obstacle string) {
	isIPv6 := func(addr rtnl.Addr) bool { return rtnl.FamilyOf(addr.Prefix.Addr()) == rtnl.IPv6 }
	if len(a.routes(rtnl.IPv6)) > 0 || slices.ContainsFunc(a.plan.Addrs, isIPv6) {
		a.warn("IPv6 not configured on %s in the namespace: %s", a.plan.IfName, obstacle)
	}
}

// skipDAD marks the link-local addresses that came with the link, so that no
// detection starts when NOARP is cleared.
func (a *applier) skipDAD() error {
	addrs, err := a.kernel.Addrs(rtnl.IPv6)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if addr.Index != a.index || !addr.Prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		addr.Flags = addr.Flags&^rtnl.AddrTentative | rtnl.AddrNoDAD
		if err := a.kernel.ReplaceAddr(addr); err != nil {
			return err
		}
	}
	return nil
}

// install adds the addresses and routes of one family.
func (a *applier) install(f rtnl.Family) error {
	for _, addr := range a.plan.Addrs {
		if rtnl.FamilyOf(addr.Prefix.Addr()) != f {
			continue
		}
		addr.Index = a.index
		if err := a.kernel.AddAddr(addr); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return a.installRoutes(a.routes(f))
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
