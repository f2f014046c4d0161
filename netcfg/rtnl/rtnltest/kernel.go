// Package rtnltest is an in-memory kernel for tests of code that uses rtnl: it
// keeps links, addresses and routes, refuses what Linux refuses for the reasons
// that callers branch on, and records every change.
//
// Import level: netcfg, but only from _test.go files.
package rtnltest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// Kernel has the methods of rtnl.Conn. The zero value has no interface at all.
// For one goroutine.
type Kernel struct {
	LinkList  []rtnl.Link
	AddrList  []rtnl.Addr
	RouteList []rtnl.Route
	// Log lists the changes in order, refused ones with their error.
	Log []string
	// Fail, if set, is asked before every request, with the text that would
	// be logged; an error of it is what the request returns.
	Fail func(request string) error
}

// Links lists all interfaces.
func (k *Kernel) Links() ([]rtnl.Link, error) {
	return slices.Clone(k.LinkList), k.fail("list interfaces")
}

// Link finds an interface by name.
func (k *Kernel) Link(name string) (rtnl.Link, error) {
	if err := k.fail("find interface " + name); err != nil {
		return rtnl.Link{}, err
	}
	for _, l := range k.LinkList {
		if l.Name == name {
			return l, nil
		}
	}
	return rtnl.Link{}, &rtnl.OpError{Op: "find interface", Target: name, Err: syscall.ENODEV}
}

// Addrs lists the addresses of one family.
func (k *Kernel) Addrs(f rtnl.Family) ([]rtnl.Addr, error) {
	var list []rtnl.Addr
	for _, a := range k.AddrList {
		if rtnl.FamilyOf(a.Prefix.Addr()) == f {
			list = append(list, a)
		}
	}
	return list, k.fail(fmt.Sprintf("list %s addresses", f))
}

// Routes lists the routes of one family.
func (k *Kernel) Routes(f rtnl.Family) ([]rtnl.Route, error) {
	var list []rtnl.Route
	for _, r := range k.RouteList {
		if r.Family() == f {
			list = append(list, r)
		}
	}
	return list, k.fail(fmt.Sprintf("list %s routes", f))
}

// SetLink changes an interface. Setting it up with IPv6 on gives it the
// link-local address of its MAC, tentative unless NoARP skips the detection.
func (k *Kernel) SetLink(index int, ch rtnl.LinkChange) error {
	return k.change(fmt.Sprintf("set interface %d (%s)", index, ch), func() error {
		l := k.linkByIndex(index)
		if l == nil {
			return syscall.ENODEV
		}
		wasUp := l.Flags&rtnl.LinkUp != 0
		l.Flags = l.Flags&^ch.Down | ch.Up
		if ch.MTU != 0 {
			l.MTU = ch.MTU
		}
		if ch.TxQLen != 0 {
			l.TxQLen = ch.TxQLen
		}
		if ch.MAC != nil {
			l.MAC = net.HardwareAddr(ch.MAC[:]).String()
		}
		if !wasUp && l.Flags&(rtnl.LinkUp|rtnl.LinkLoopback) == rtnl.LinkUp && l.IPv6 == rtnl.IPv6On {
			k.addLinkLocal(*l)
		}
		return nil
	})
}

// AddAddr adds an address and its connected route.
func (k *Kernel) AddAddr(a rtnl.Addr) error {
	return k.change("add address "+a.String(), func() error {
		l := k.linkByIndex(a.Index)
		switch {
		case l == nil:
			return syscall.ENODEV
		case a.Prefix.Addr().Is6() && l.IPv6 != rtnl.IPv6On:
			return syscall.EACCES
		case k.findAddr(a) >= 0:
			return syscall.EEXIST
		}
		k.AddrList = append(k.AddrList, a)
		k.RouteList = append(k.RouteList, rtnl.Route{
			Dst: a.Prefix.Masked(), Table: rtnl.TableMain, Type: rtnl.TypeUnicast,
			Scope: rtnl.ScopeLink, PrefSrc: a.Prefix.Addr(), Hops: []rtnl.Hop{{Index: a.Index}},
		})
		return nil
	})
}

// DelAddr removes an address and its connected route.
func (k *Kernel) DelAddr(a rtnl.Addr) error {
	return k.change("remove address "+a.String(), func() error {
		i := k.findAddr(a)
		if i < 0 {
			return syscall.EADDRNOTAVAIL
		}
		k.AddrList = slices.Delete(k.AddrList, i, i+1)
		k.RouteList = slices.DeleteFunc(k.RouteList, func(r rtnl.Route) bool {
			return r.PrefSrc == a.Prefix.Addr()
		})
		return nil
	})
}

// AddRoute adds a route, if its gateways can be reached by a route without
// gateway or are on-link.
func (k *Kernel) AddRoute(r rtnl.Route) error {
	return k.change("add route "+r.String(), func() error {
		for _, old := range k.RouteList {
			if old.Dst == r.Dst && old.Priority == r.Priority && old.PrefSrc == r.PrefSrc &&
				slices.EqualFunc(old.Hops, r.Hops, sameHop) {
				return syscall.EEXIST
			}
		}
		for _, h := range r.Hops {
			if h.Gateway.IsValid() && h.Flags&rtnl.HopOnLink == 0 && !k.reachable(h.Gateway) {
				return syscall.ENETUNREACH
			}
		}
		k.RouteList = append(k.RouteList, r)
		return nil
	})
}

// fail asks the script.
func (k *Kernel) fail(request string) error {
	if k.Fail == nil {
		return nil
	}
	return k.Fail(request)
}

// change runs one change unless the script refuses it, and records it.
func (k *Kernel) change(request string, do func() error) error {
	err := k.fail(request)
	if err == nil {
		err = do()
	}
	if err != nil {
		k.Log = append(k.Log, request+": "+err.Error())
		return &rtnl.OpError{Op: "change", Target: request, Err: err}
	}
	k.Log = append(k.Log, request)
	return nil
}

func (k *Kernel) linkByIndex(index int) *rtnl.Link {
	for i := range k.LinkList {
		if k.LinkList[i].Index == index {
			return &k.LinkList[i]
		}
	}
	return nil
}

func (k *Kernel) findAddr(a rtnl.Addr) int {
	return slices.IndexFunc(k.AddrList, func(b rtnl.Addr) bool {
		return b.Index == a.Index && b.Prefix == a.Prefix
	})
}

func sameHop(a, b rtnl.Hop) bool { return a.Index == b.Index && a.Gateway == b.Gateway }

// reachable tells whether a link route covers the gateway; link-local ones
// always do.
func (k *Kernel) reachable(gateway netip.Addr) bool {
	if gateway.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(k.RouteList, func(r rtnl.Route) bool {
		return r.Dst.Contains(gateway) && len(r.Hops) > 0 && !r.Hops[0].Gateway.IsValid()
	})
}

// addLinkLocal gives l the address fe80::INDEX, which is enough for tests.
func (k *Kernel) addLinkLocal(l rtnl.Link) {
	flags := rtnl.AddrPermanent
	if l.Flags&rtnl.LinkNoARP == 0 {
		flags |= rtnl.AddrTentative
	}
	ip := [16]byte{0: 0xfe, 1: 0x80, 15: byte(l.Index)}
	k.AddrList = append(k.AddrList, rtnl.Addr{
		Index: l.Index, Prefix: netip.PrefixFrom(netip.AddrFrom16(ip), 64),
		Flags: flags, Scope: rtnl.ScopeLink,
	})
}
