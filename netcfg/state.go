package netcfg

import (
	"slices"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// Kernel is what this package asks of rtnetlink in one network namespace.
// *rtnl.Conn provides it, and rtnltest.Kernel in tests.
type Kernel interface {
	Links() ([]rtnl.Link, error)
	Link(name string) (rtnl.Link, error)
	Addrs(rtnl.Family) ([]rtnl.Addr, error)
	Routes(rtnl.Family) ([]rtnl.Route, error)
	SetLink(index int, ch rtnl.LinkChange) error
	AddAddr(rtnl.Addr) error
	DelAddr(rtnl.Addr) error
	AddRoute(rtnl.Route) error
}

// HostState is what Decide knows about the host: plain data, recorded as JSON
// in testdata.
type HostState struct {
	Links []rtnl.Link `json:"links"`
	// Addrs holds the addresses of both families.
	Addrs []rtnl.Addr `json:"addrs"`
	// Routes holds the unicast routes of the main table, both families, in
	// kernel order: lowest metric first among equal destinations.
	Routes []rtnl.Route `json:"routes"`
	// NoIPv6 is set if the kernel has no IPv6 or disabled it at boot. An
	// interface may still have it off on its own.
	NoIPv6 bool `json:"no_ipv6,omitzero"`
}

// Discover reads the state of the namespace that k is open in.
func Discover(k Kernel) (HostState, error) {
	var s HostState
	var err error
	if s.Links, err = k.Links(); err != nil {
		return HostState{}, err
	}
	s.NoIPv6 = !slices.ContainsFunc(s.Links, func(l rtnl.Link) bool { return l.IPv6 != rtnl.IPv6Absent })
	for _, f := range s.families() {
		addrs, err := k.Addrs(f)
		if err != nil {
			return HostState{}, err
		}
		routes, err := k.Routes(f)
		if err != nil {
			return HostState{}, err
		}
		s.Addrs = append(s.Addrs, addrs...)
		s.Routes = append(s.Routes, slices.DeleteFunc(routes, notMainUnicast)...)
	}
	return s, nil
}

// families lists the families that the kernel has.
func (s HostState) families() []rtnl.Family {
	if s.NoIPv6 {
		return []rtnl.Family{rtnl.IPv4}
	}
	return []rtnl.Family{rtnl.IPv4, rtnl.IPv6}
}

func notMainUnicast(r rtnl.Route) bool {
	return r.Table != rtnl.TableMain || r.Type != rtnl.TypeUnicast
}

// linkNamed finds an interface by name.
func (s HostState) linkNamed(name string) (rtnl.Link, bool) {
	return s.findLink(func(l rtnl.Link) bool { return l.Name == name })
}

// linkName returns the name of an interface, empty if there is none.
func (s HostState) linkName(index int) string {
	l, _ := s.findLink(func(l rtnl.Link) bool { return l.Index == index })
	return l.Name
}

func (s HostState) findLink(match func(rtnl.Link) bool) (rtnl.Link, bool) {
	i := slices.IndexFunc(s.Links, match)
	if i < 0 {
		return rtnl.Link{}, false
	}
	return s.Links[i], true
}

// routes lists the routes of one family.
func (s HostState) routes(f rtnl.Family) []rtnl.Route {
	var list []rtnl.Route
	for _, r := range s.Routes {
		if r.Family() == f {
			list = append(list, r)
		}
	}
	return list
}
