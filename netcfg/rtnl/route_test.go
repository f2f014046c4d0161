package rtnl

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// cmpNetip compares the opaque types of net/netip by value.
var cmpNetip = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// routeCases are routes that survive building and parsing.
func routeCases() map[string]Route {
	unicast := func(dst string, hops ...Hop) Route {
		return Route{Dst: netip.MustParsePrefix(dst), Table: TableMain, Type: TypeUnicast, Hops: hops}
	}
	via := func(gw string, index int) Hop { return Hop{Index: index, Gateway: netip.MustParseAddr(gw)} }

	metrics := unicast("10.1.0.0/16", via("10.0.0.1", 2))
	metrics.Metrics = []Metric{{Kind: MetricMTU, Value: 1400}, {Kind: MetricCongestion, Name: "reno"}}
	metrics.Priority, metrics.Protocol, metrics.Scope, metrics.TOS = 600, 16, ScopeLink, 8

	multi := unicast("0.0.0.0/0", via("10.0.0.1", 2), via("10.0.1.1", 3))
	multi.Hops[0].Weight, multi.Hops[1].Weight = 1, 256
	multi.Hops[1].Flags = HopOnLink

	onlink := unicast("0.0.0.0/0", via("192.0.2.1", 2))
	onlink.Hops[0].Flags = HopOnLink

	source := unicast("::/0", via("fe80::1", 2))
	source.Src = netip.MustParsePrefix("2001:db8::/56")
	source.Extra = []Attr{{Type: unix.RTA_PREF, Data: []byte{1}}}

	encap := unicast("10.2.0.0/16", via("10.0.0.1", 2))
	encap.Hops[0].Extra = []Attr{
		{Type: unix.RTA_FLOW, Data: []byte{1, 2, 3, 4}},
		{Type: unix.RTA_ENCAP_TYPE, Data: []byte{1, 0}},
		{Type: unix.RTA_ENCAP, Data: []byte{8, 0, 1, 0, 0, 1, 0x21, 0}},
	}
	prefsrc := unicast("fd00::/64", Hop{Index: 2})
	prefsrc.PrefSrc = netip.MustParseAddr("fd00::2")

	blackhole := unicast("10.3.0.0/16")
	blackhole.Type = unix.RTN_BLACKHOLE
	return map[string]Route{
		"metrics": metrics, "multipath": multi, "on-link": onlink, "source and preference": source,
		"IPv4 over IPv6": unicast("0.0.0.0/0", via("fe80::1", 2)),
		"encapsulation":  encap, "preferred source": prefsrc, "blackhole": blackhole,
	}
}

func TestRouteSurvivesBuildingAndParsing(t *testing.T) {
	for name, want := range routeCases() {
		t.Run(name, func(t *testing.T) {
			got, err := parseRoute(encodeRoute(want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpNetip); diff != "" {
				t.Errorf("route (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRouteRefusesBadMessages(t *testing.T) {
	good := encodeRoute(routeCases()["multipath"])
	tooLong := append([]byte(nil), good...)
	tooLong[1] = 33
	longAttr := append([]byte(nil), good...)
	order.PutUint16(longAttr[unix.SizeofRtMsg:], 9999)
	otherFamily := append([]byte{unix.AF_MPLS}, good[1:]...)
	wrongFamily := rtMsg(Route{Dst: netip.MustParsePrefix("::/0")})
	wrongFamily = appendAttr(wrongFamily, unix.RTA_DST, []byte{10, 0, 0, 0})
	tests := []struct {
		name  string
		input []byte
	}{
		{"empty", nil},
		{"short header", good[:unix.SizeofRtMsg-1]},
		{"prefix longer than address", tooLong},
		{"attribute longer than message", longAttr},
		{"MPLS", otherFamily},
		{"IPv4 address in IPv6 route", wrongFamily},
		{"short metric", appendAttr(rtMsg(routeCases()["on-link"]), unix.RTA_METRICS, appendAttr(nil, 2, []byte{1}))},
		{"short via", appendAttr(rtMsg(routeCases()["on-link"]), unix.RTA_VIA, []byte{1})},
		{"short next hop", appendAttr(rtMsg(routeCases()["on-link"]), unix.RTA_MULTIPATH, []byte{4, 0, 0, 0, 0, 0, 0, 0})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := parseRoute(tt.input); err == nil {
				t.Errorf("parse: got %v, want an error", r)
			}
		})
	}
}

func TestRouteString(t *testing.T) {
	tests := []struct {
		name, route, want string
	}{
		{"multipath default", "multipath", "default (IPv4) via 10.0.0.1 on interface 2 via 10.0.1.1 on interface 3"},
		{"source-specific", "source and preference", "::/0 via fe80::1 on interface 2"},
		{"connected", "preferred source", "fd00::/64 on interface 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := routeCases()[tt.route].String(); got != tt.want {
				t.Errorf("String: got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, r := range routeCases() {
		f.Add(encodeRoute(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRoute(b)
		if err != nil {
			return
		}
		// What the kernel never sends need not survive: zero-length sources,
		// weights of a single hop, sole hops without interface.
		again, err := parseRoute(encodeRoute(r))
		if err != nil {
			t.Fatalf("parse %+v again: %v", r, err)
		}
		if len(r.Hops) > 1 && again.Dst.Masked() != r.Dst.Masked() {
			t.Errorf("destination: got %v, want %v", again.Dst, r.Dst)
		}
		if len(again.Metrics) != len(r.Metrics) || again.Table != r.Table || again.Type != r.Type {
			t.Errorf("route: got %+v, want %+v", again, r)
		}
	})
}
