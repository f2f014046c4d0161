package netcfg

import (
	"net/netip"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// Addressing of local mode, used by a family without template.
var (
	localGuest4   = netip.MustParsePrefix("169.254.2.1/16")
	localGateway4 = netip.MustParseAddr("169.254.2.2")
	localGateway6 = netip.MustParseAddr("fe80::1")
)

// usableAddrs lists the addresses of one family on an interface, except those
// that the host itself does not use for new flows to others.
func usableAddrs(host HostState, f rtnl.Family, index int) []rtnl.Addr {
	var list []rtnl.Addr
	for _, a := range host.Addrs {
		unused := a.Flags&(rtnl.AddrDeprecated|rtnl.AddrDADFailed) != 0 || a.Prefix.Addr().IsLoopback()
		if a.Index == index && rtnl.FamilyOf(a.Prefix.Addr()) == f && !unused {
			list = append(list, a)
		}
	}
	return list
}

// pickAddress chooses the guest's address: the longest prefix, the first of
// equals. Link-local addresses do not serve a guest as its only IPv6 address,
// and as IPv4 address only if there is no other.
func pickAddress(addrs []rtnl.Addr) netip.Prefix {
	var best, bestLocal netip.Prefix
	for _, a := range addrs {
		p := a.Prefix
		switch {
		case p.Addr().IsLinkLocalUnicast():
			if p.Addr().Is4() && longer(p, bestLocal) {
				bestLocal = p
			}
		case p.Addr().Is6() && a.Scope != rtnl.ScopeGlobal:
		case longer(p, best):
			best = p
		}
	}
	if best.IsValid() {
		return best
	}
	return bestLocal
}

// longer tells whether p is more specific than best, which may be invalid
// (length -1).
func longer(p, best netip.Prefix) bool { return p.Bits() > best.Bits() }

// linkLocalOf returns the first link-local IPv6 address of an interface.
func linkLocalOf(addrs []rtnl.Addr) netip.Addr {
	for _, a := range addrs {
		if a.Prefix.Addr().Is6() && a.Prefix.Addr().IsLinkLocalUnicast() {
			return a.Prefix.Addr()
		}
	}
	return netip.Addr{}
}

// copiedAddrs lists the addresses to install in the namespace, without
// interface: all but link-local ones.
func copiedAddrs(addrs []rtnl.Addr) []rtnl.Addr {
	var list []rtnl.Addr
	for _, a := range addrs {
		if a.Prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		a.Index = 0
		a.Flags |= rtnl.AddrNoDAD
		list = append(list, a)
	}
	return list
}

// singleAddr is the only address of a namespace that copies none.
func singleAddr(p netip.Prefix) []rtnl.Addr {
	if !p.IsValid() {
		return nil
	}
	return []rtnl.Addr{{Prefix: p, Flags: rtnl.AddrNoDAD}}
}

// classBits is the prefix length of an IPv4 address given without one: that of
// its class (RFC 791 section 3.2), a host address beyond class C.
func classBits(a netip.Addr) int {
	switch first := a.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	case first < 224:
		return 24
	}
	return 32
}
