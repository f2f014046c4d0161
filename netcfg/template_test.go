package netcfg

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// hostWith is a host with interfaces 2 and 3 and the given routes.
func hostWith(routes ...rtnl.Route) HostState {
	return HostState{Links: []rtnl.Link{{Index: 2, Name: "a2"}, {Index: 3, Name: "a3"}}, Routes: routes}
}

// unicast is a route through the given next hops.
func unicast(dst string, hops ...rtnl.Hop) rtnl.Route {
	return rtnl.Route{Dst: netip.MustParsePrefix(dst), Table: rtnl.TableMain, Type: rtnl.TypeUnicast, Hops: hops}
}

func via(gw string, index, weight int) rtnl.Hop {
	return rtnl.Hop{Index: index, Gateway: ip(gw), Weight: weight}
}

func TestPickTemplate(t *testing.T) {
	dev := func(index int) rtnl.Hop { return rtnl.Hop{Index: index} }
	def2, def3 := unicast("0.0.0.0/0", via("10.2.0.1", 2, 0)), unicast("0.0.0.0/0", via("10.3.0.1", 3, 0))
	tests := []struct {
		name      string
		routes    []rtnl.Route
		wish      string
		wantIndex int
		wantInfo  []string
	}{
		{"nothing", nil, "", noTemplate, []string{"No interfaces with usable IPv4 routes"}},
		{"one default", []rtnl.Route{def3}, "", 3, nil},
		{"default after others", []rtnl.Route{unicast("10.2.0.0/16", dev(2)), def3}, "", 3, nil},
		{"two defaults", []rtnl.Route{def3, def2}, "", 3, []string{"Multiple default IPv4 routes, picked first"}},
		{"multipath default", []rtnl.Route{unicast("0.0.0.0/0", via("10.3.0.1", 3, 1), via("10.2.0.1", 2, 9))}, "", 3, nil},
		{"no default", []rtnl.Route{unicast("10.3.0.0/16", dev(3))}, "", 3, nil},
		{"no default, one interface", []rtnl.Route{unicast("10.3.0.0/16", dev(3)), unicast("10.4.0.0/16", dev(3))}, "", 3, nil},
		{
			"no default, two interfaces",
			[]rtnl.Route{unicast("10.3.0.0/16", dev(3)), unicast("10.2.0.0/16", dev(2))},
			"", 3,
			[]string{"Multiple interfaces with IPv4 routes, picked first"},
		},
		{"link-local only", []rtnl.Route{unicast("169.254.0.0/16", dev(3))}, "", noTemplate, []string{"No interfaces with usable IPv4 routes"}},
		{"without interface", []rtnl.Route{unicast("0.0.0.0/0")}, "", noTemplate, []string{"No interfaces with usable IPv4 routes"}},
		{"other family", []rtnl.Route{unicast("::/0", dev(2))}, "", noTemplate, []string{"No interfaces with usable IPv4 routes"}},
		{"wished", []rtnl.Route{def3, def2}, "a2", 2, nil},
		{"wished but not there", []rtnl.Route{def3}, "x0", 3, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			index, infos := pickTemplate(hostWith(tt.routes...), rtnl.IPv4, tt.wish)
			if index != tt.wantIndex {
				t.Errorf("index: got %d, want %d", index, tt.wantIndex)
			}
			if diff := cmp.Diff(tt.wantInfo, infos); diff != "" {
				t.Errorf("infos (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinkLocalPrefix(t *testing.T) {
	tests := []struct {
		prefix string
		want   bool
	}{
		{"fe80::/64", true},
		{"fe80::/10", true},
		{"fe80::/9", false},
		{"fd00::/64", false},
		{"::/0", false},
		{"169.254.0.0/16", true},
		{"169.254.169.254/32", true},
		{"169.254.0.0/15", false},
		{"0.0.0.0/0", false},
	}
	for _, tt := range tests {
		t.Run(tt.prefix, func(t *testing.T) {
			if got := linkLocalPrefix(netip.MustParsePrefix(tt.prefix)); got != tt.want {
				t.Errorf("linkLocalPrefix: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestGatewayOf(t *testing.T) {
	tests := []struct {
		name   string
		routes []rtnl.Route
		want   netip.Addr
	}{
		{"none", nil, netip.Addr{}},
		{"on another interface", []rtnl.Route{unicast("0.0.0.0/0", via("10.3.0.1", 3, 0))}, netip.Addr{}},
		{"first", []rtnl.Route{unicast("0.0.0.0/0", via("10.2.0.1", 2, 0)), unicast("0.0.0.0/0", via("10.2.0.9", 2, 0))}, ip("10.2.0.1")},
		{"first that has one", []rtnl.Route{unicast("0.0.0.0/0", rtnl.Hop{Index: 2}), unicast("0.0.0.0/0", via("10.2.0.9", 2, 0))}, ip("10.2.0.9")},
		{"heaviest, elsewhere", []rtnl.Route{unicast("0.0.0.0/0", via("10.2.0.1", 2, 1), via("10.3.0.1", 3, 5))}, ip("10.3.0.1")},
		{"first of equal weights", []rtnl.Route{unicast("0.0.0.0/0", via("10.2.0.1", 2, 5), via("10.3.0.1", 3, 5))}, ip("10.2.0.1")},
		{"IPv6 gateway of an IPv4 route", []rtnl.Route{unicast("0.0.0.0/0", via("fe80::1", 2, 0))}, netip.Addr{}},
		{"not a default", []rtnl.Route{unicast("10.0.0.0/8", via("10.2.0.1", 2, 0))}, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := gatewayOf(hostWith(tt.routes...), rtnl.IPv4, 2); got != tt.want {
				t.Errorf("gatewayOf: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCopiedRoutesKeepOnlyConfiguration(t *testing.T) {
	const dead, linkDown = 1, 16 // RTNH_F_DEAD, RTNH_F_LINKDOWN
	full := unicast("10.9.0.0/16", via("10.2.0.1", 2, 0))
	full.PrefSrc, full.Priority, full.Protocol = ip("10.2.0.2"), 7, 16
	full.Hops[0].Flags = rtnl.HopOnLink | dead | linkDown
	full.Metrics = []rtnl.Metric{{Kind: rtnl.MetricMTU, Value: 1400}}
	want := full
	want.PrefSrc = netip.Addr{}
	want.Hops = []rtnl.Hop{{Gateway: ip("10.2.0.1"), Flags: rtnl.HopOnLink}}

	elsewhere := unicast("10.8.0.0/16", via("10.2.0.1", 2, 1), via("10.3.0.1", 3, 1))
	other := unicast("10.7.0.0/16", via("10.3.0.1", 3, 0))
	host := hostWith(elsewhere, full, other)
	got := copiedRoutes(host, rtnl.IPv4, 2)
	if diff := cmp.Diff([]rtnl.Route{want}, got, netipValues); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if host.Routes[1].Hops[0].Index != 2 {
		t.Error("the host's state was changed")
	}
}
