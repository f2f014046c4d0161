package rtnl

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// errOtherFamily is a route of neither IPv4 nor IPv6 (multicast or MPLS
// routing), which the kernel mixes in when a family is not there.
var errOtherFamily = errors.New("neither IPv4 nor IPv6")

// Route attributes of linux/rtnetlink.h which x/sys/unix does not name.
const (
	rtaTTLPropagate = 26
)

// parseRoute reads an RTM_NEWROUTE message without its netlink header.
func parseRoute(b []byte) (Route, error) {
	if len(b) < unix.SizeofRtMsg {
		return Route{}, errMalformed
	}
	f, ok := familyOf(b[0])
	if !ok {
		return Route{}, errOtherFamily
	}
	p := routeParser{
		family: f, dstLen: b[1], srcLen: b[2],
		route: Route{
			TOS: b[3], Table: uint32(b[4]), Protocol: b[5],
			Scope: Scope(b[6]), Type: RouteType(b[7]),
		},
		hop: Hop{Flags: HopFlags(order.Uint32(b[8:]))},
	}
	if err := parseAttrs(b[unix.SizeofRtMsg:], p.attr); err != nil {
		return Route{}, err
	}
	return p.finish()
}

// routeParser collects a route from its attributes, which come in any order.
type routeParser struct {
	family         Family
	dstLen, srcLen uint8
	dst, src       []byte
	route          Route
	// hop is the next hop of a route without RTA_MULTIPATH.
	hop Hop
}

// attr takes over one attribute of the route or of its single next hop.
func (p *routeParser) attr(typ uint16, data []byte) (err error) {
	r := &p.route
	switch typ {
	case unix.RTA_DST:
		p.dst = data
	case unix.RTA_SRC:
		p.src = data
	case unix.RTA_TABLE:
		r.Table, err = uint32Of(data)
	case unix.RTA_PRIORITY:
		r.Priority, err = uint32Of(data)
	case unix.RTA_PREFSRC:
		r.PrefSrc, err = addrOf(data)
	case unix.RTA_METRICS:
		err = parseAttrs(data, r.metric)
	case unix.RTA_MULTIPATH:
		r.Hops, err = parseHops(data)
	case unix.RTA_OIF:
		var v uint32
		v, err = uint32Of(data)
		p.hop.Index = int(v)
	case unix.RTA_PREF, rtaTTLPropagate:
		r.Extra = append(r.Extra, keep(typ, data))
	default:
		err = p.hop.attr(typ, data)
	}
	return err
}

// finish checks and joins what the attributes gave.
func (p *routeParser) finish() (r Route, err error) {
	r = p.route
	if r.Dst, err = p.prefix(p.dst, p.dstLen); err != nil {
		return Route{}, err
	}
	if p.src != nil {
		if r.Src, err = p.prefix(p.src, p.srcLen); err != nil {
			return Route{}, err
		}
	}
	if r.Hops == nil && p.hop.Index != 0 {
		r.Hops = []Hop{p.hop}
	}
	return r, nil
}

// prefix builds a prefix of the route's family; no address means any.
func (p *routeParser) prefix(data []byte, bits uint8) (netip.Prefix, error) {
	if data == nil {
		data = make([]byte, 4)
		if p.family == IPv6 {
			data = make([]byte, 16)
		}
	}
	prefix, err := prefixOf(data, bits)
	if err == nil && FamilyOf(prefix.Addr()) != p.family {
		err = errMalformed
	}
	return prefix, err
}

// metric takes over one attribute of RTA_METRICS.
func (r *Route) metric(kind uint16, data []byte) error {
	m := Metric{Kind: kind}
	if kind == MetricCongestion {
		m.Name = stringOf(data)
	} else {
		v, err := uint32Of(data)
		if err != nil {
			return err
		}
		m.Value = v
	}
	r.Metrics = append(r.Metrics, m)
	return nil
}

// parseHops reads RTA_MULTIPATH: a row of struct rtnexthop, each followed by its
// own attributes. The struct holds length (2 bytes), flags, weight less one and
// interface index (4 bytes).
func parseHops(b []byte) ([]Hop, error) {
	var hops []Hop
	for len(b) >= unix.SizeofRtNexthop {
		hopLen := int(order.Uint16(b))
		if hopLen < unix.SizeofRtNexthop || hopLen > len(b) {
			return nil, errMalformed
		}
		h := Hop{Flags: HopFlags(b[2]), Weight: int(b[3]) + 1, Index: int(int32(order.Uint32(b[4:])))}
		if err := parseAttrs(b[unix.SizeofRtNexthop:hopLen], h.attr); err != nil {
			return nil, err
		}
		hops = append(hops, h)
		b = b[min(align(hopLen), len(b)):]
	}
	return hops, nil
}

// attr takes over one attribute of a next hop.
func (h *Hop) attr(typ uint16, data []byte) (err error) {
	switch typ {
	case unix.RTA_GATEWAY:
		h.Gateway, err = addrOf(data)
	case unix.RTA_VIA:
		h.Gateway, err = viaOf(data)
	case unix.RTA_FLOW, unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE:
		h.Extra = append(h.Extra, keep(typ, data))
	}
	return err
}

// viaOf reads struct rtvia: an address family (2 bytes) and an address.
func viaOf(data []byte) (netip.Addr, error) {
	if len(data) < 2 {
		return netip.Addr{}, errMalformed
	}
	return addrOf(data[2:])
}

// keep copies an attribute that is only carried.
func keep(typ uint16, data []byte) Attr {
	return Attr{Type: typ, Data: append([]byte(nil), data...)}
}
