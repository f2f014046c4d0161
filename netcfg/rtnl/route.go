package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TableMain is the routing table of ordinary unicast routes.
const TableMain = unix.RT_TABLE_MAIN

const (
	// TypeUnicast is the type of routes that forward to a gateway or a link.
	TypeUnicast RouteType = unix.RTN_UNICAST
	// TypeLocal is the type of routes to ourselves.
	TypeLocal RouteType = unix.RTN_LOCAL
)

// ProtocolBoot is the origin of routes set without saying which.
const ProtocolBoot = unix.RTPROT_BOOT

// RouteType is RTN_ of rtnetlink(7): unicast, local, blackhole and so on.
type RouteType uint8

// HopFlags are next hop flags, RTNH_F_ of linux/rtnetlink.h.
type HopFlags uint32

// Flags that configure a next hop; all others tell its present state.
const (
	// HopOnLink: the gateway is reachable although no route says so.
	HopOnLink HopFlags = unix.RTNH_F_ONLINK
	// HopPervasive asks for a recursive gateway lookup.
	HopPervasive HopFlags = unix.RTNH_F_PERVASIVE
)

// Route is an entry of a routing table.
type Route struct {
	// Dst is the destination; length 0 for a default route.
	Dst netip.Prefix `json:"dst"`
	// Src restricts an IPv6 route to sources. Invalid: none.
	Src      netip.Prefix `json:"src,omitzero"`
	TOS      uint8        `json:"tos,omitzero"`
	Table    uint32       `json:"table"`
	Type     RouteType    `json:"type"`
	Scope    Scope        `json:"scope,omitzero"`
	Protocol uint8        `json:"protocol,omitzero"`
	// Priority is what ip-route(8) calls metric; the lowest is preferred.
	Priority uint32     `json:"priority,omitzero"`
	PrefSrc  netip.Addr `json:"prefsrc,omitzero"`
	// Hops are the next hops: one of an ordinary route, several of a
	// multipath route, none of a route that drops packets.
	Hops []Hop `json:"hops,omitzero"`
	// Metrics are the path attributes such as MTU and window.
	Metrics []Metric `json:"metrics,omitzero"`
	// Extra holds attributes that are only carried: router preference,
	// realm, TTL propagation.
	Extra []Attr `json:"extra,omitzero"`
}

// Hop is a next hop.
type Hop struct {
	// Index is the output interface.
	Index int `json:"index"`
	// Gateway may be IPv6 in an IPv4 route (RFC 5549). Invalid: none, the
	// destination is on the link.
	Gateway netip.Addr `json:"gateway,omitzero"`
	Flags   HopFlags   `json:"flags,omitzero"`
	// Weight is the share among several hops, 1 to 256.
	Weight int `json:"weight,omitzero"`
	// Extra holds attributes that are only carried: realm, encapsulation.
	Extra []Attr `json:"extra,omitzero"`
}

// Metric is one path attribute, RTAX_ of linux/rtnetlink.h.
type Metric struct {
	Kind uint16 `json:"kind"`
	// Value is the number; unused by MetricCongestion.
	Value uint32 `json:"value,omitzero"`
	// Name is the congestion control algorithm.
	Name string `json:"name,omitzero"`
}

// Metric kinds with a meaning here; others are carried by number.
const (
	MetricMTU        = unix.RTAX_MTU
	MetricCongestion = unix.RTAX_CC_ALGO
)

// Family returns the IP version of the route.
func (r Route) Family() Family { return FamilyOf(r.Dst.Addr()) }

// IsDefault tells whether the route matches every destination and source.
func (r Route) IsDefault() bool {
	return r.Dst.Bits() == 0 && (!r.Src.IsValid() || r.Src.Bits() == 0)
}

// String gives the route in short, for errors.
func (r Route) String() string {
	s := r.Dst.String()
	if r.IsDefault() {
		s = fmt.Sprintf("default (%s)", r.Family())
	}
	for _, h := range r.Hops {
		if h.Gateway.IsValid() {
			s += " via " + h.Gateway.String()
		}
		s += fmt.Sprintf(" on interface %d", h.Index)
	}
	return s
}

// Routes lists the routes of one family in all tables, in kernel order.
func (c *Conn) Routes(f Family) ([]Route, error) {
	body := make([]byte, unix.SizeofRtMsg)
	body[0] = f.af()
	msgs, err := c.dump(unix.RTM_GETROUTE, body, unix.RTM_NEWROUTE)
	if err != nil {
		return nil, &OpError{Op: "list", Target: f.String() + " routes", Err: err}
	}
	routes := make([]Route, 0, len(msgs))
	for _, m := range msgs {
		r, err := parseRoute(m)
		switch {
		case errors.Is(err, errOtherFamily):
			continue
		case err != nil:
			return nil, &OpError{Op: "parse", Target: f.String() + " route", Err: err}
		case r.Family() == f:
			routes = append(routes, r)
		}
	}
	return routes, nil
}

// AddRoute adds a route, behind others to the same destination that differ in
// other ways. The error is EEXIST if there is an equal one, ENETUNREACH or
// EHOSTUNREACH if no route leads to the gateway yet.
func (c *Conn) AddRoute(r Route) error {
	if err := c.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, encodeRoute(r)); err != nil {
		return &OpError{Op: "add route", Target: r.String(), Err: err}
	}
	return nil
}
