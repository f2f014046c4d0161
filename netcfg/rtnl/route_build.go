package rtnl

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// encodeRoute builds an RTM_NEWROUTE message without its netlink header. What
// only tells the state of a route or of its hops is left to the kernel.
func encodeRoute(r Route) []byte {
	b := rtMsg(r)
	if r.Dst.Bits() > 0 {
		b = appendAttr(b, unix.RTA_DST, r.Dst.Addr().AsSlice())
	}
	if r.Src.IsValid() {
		b = appendAttr(b, unix.RTA_SRC, r.Src.Addr().AsSlice())
	}
	b = appendUint32(b, unix.RTA_TABLE, r.Table)
	if r.Priority != 0 {
		b = appendUint32(b, unix.RTA_PRIORITY, r.Priority)
	}
	if r.PrefSrc.IsValid() {
		b = appendAttr(b, unix.RTA_PREFSRC, r.PrefSrc.AsSlice())
	}
	if len(r.Metrics) > 0 {
		b = appendAttr(b, unix.RTA_METRICS|unix.NLA_F_NESTED, encodeMetrics(r.Metrics))
	}
	b = appendExtra(b, r.Extra)
	switch len(r.Hops) {
	case 0:
	case 1:
		b = appendUint32(b, unix.RTA_OIF, uint32(r.Hops[0].Index))
		b = appendHopAttrs(b, r.Family(), r.Hops[0])
	default:
		b = appendAttr(b, unix.RTA_MULTIPATH|unix.NLA_F_NESTED, encodeHops(r.Family(), r.Hops))
	}
	return b
}

// rtMsg builds struct rtmsg. The table's 8 bits are superseded by RTA_TABLE.
func rtMsg(r Route) []byte {
	var srcLen uint8
	if r.Src.IsValid() {
		srcLen = uint8(r.Src.Bits())
	}
	var flags HopFlags
	if len(r.Hops) == 1 {
		flags = r.Hops[0].Flags
	}
	b := []byte{
		r.Family().af(), uint8(r.Dst.Bits()), srcLen, r.TOS,
		unix.RT_TABLE_UNSPEC, r.Protocol, uint8(r.Scope), uint8(r.Type),
	}
	return order.AppendUint32(b, uint32(flags))
}

// encodeMetrics builds the content of RTA_METRICS.
func encodeMetrics(metrics []Metric) []byte {
	var b []byte
	for _, m := range metrics {
		if m.Kind == MetricCongestion {
			b = appendString(b, m.Kind, m.Name)
		} else {
			b = appendUint32(b, m.Kind, m.Value)
		}
	}
	return b
}

// encodeHops builds the content of RTA_MULTIPATH, see parseHops.
func encodeHops(f Family, hops []Hop) []byte {
	var b []byte
	for _, h := range hops {
		start := len(b)
		b = append(b, 0, 0, uint8(h.Flags), uint8(max(h.Weight, 1)-1))
		b = order.AppendUint32(b, uint32(h.Index))
		b = appendHopAttrs(b, f, h)
		order.PutUint16(b[start:], uint16(len(b)-start))
	}
	return b
}

// appendHopAttrs appends the attributes of a next hop in a route of family f.
func appendHopAttrs(b []byte, f Family, h Hop) []byte {
	switch {
	case !h.Gateway.IsValid():
	case FamilyOf(h.Gateway) == f:
		b = appendAttr(b, unix.RTA_GATEWAY, h.Gateway.AsSlice())
	default:
		b = appendAttr(b, unix.RTA_VIA, encodeVia(h.Gateway))
	}
	return appendExtra(b, h.Extra)
}

// encodeVia builds struct rtvia, see viaOf.
func encodeVia(gateway netip.Addr) []byte {
	return append(order.AppendUint16(nil, uint16(FamilyOf(gateway).af())), gateway.AsSlice()...)
}

// appendExtra appends attributes as they were received. Encapsulation is nested
// and the kernel checks the flag that its own dumps omit.
func appendExtra(b []byte, extra []Attr) []byte {
	for _, a := range extra {
		typ := a.Type
		if typ == unix.RTA_ENCAP {
			typ |= unix.NLA_F_NESTED
		}
		b = appendAttr(b, typ, a.Data)
	}
	return b
}
