package netcfg

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

func TestDecideWishes(t *testing.T) {
	const (
		link4   = "v4: template vH guest 10.66.0.2/24 gw 10.66.0.1 our 10.66.0.1 lo 10.66.0.1"
		copied4 = "route 10.66.0.0/24 link"
	)
	tests := []struct {
		name, host   string
		change       func(*Options)
		want, absent []string
	}{
		{
			"-a by class", "normal", func(o *Options) { o.Address4 = ip("10.9.9.9") },
			[]string{"v4: template vH guest 10.9.9.9/8 gw 10.66.0.1 our 10.66.0.1 lo 10.66.0.1", "addr 10.9.9.9/8", copied4},
			[]string{"addr 10.66.0.2"},
		},
		{
			"-a with length", "normal", func(o *Options) { o.Address4, o.PrefixLen4 = ip("10.9.9.9"), 25 },
			[]string{"addr 10.9.9.9/25"},
			nil,
		},
		{
			"-a IPv6 leaves IPv4", "normal", func(o *Options) { o.Address6 = ip("fd99::9") },
			[]string{link4, "v6: template vH guest fd99::9/64 gw fd66::1 our fd66::1 lo fd66::1", "addr fd99::9/64", "addr 10.66.0.2/24"},
			[]string{"addr fd66::2"},
		},
		{
			"-n changes DHCP only", "normal", func(o *Options) { o.PrefixLen4 = 16 },
			[]string{"v4: template vH guest 10.66.0.2/16 gw 10.66.0.1 our 10.66.0.1 lo 10.66.0.1", "addr 10.66.0.2/24"},
			nil,
		},
		{
			"-g replaces the routes", "normal", func(o *Options) { o.Gateway4 = ip("10.66.0.9") },
			[]string{"v4: template vH guest 10.66.0.2/24 gw 10.66.0.9 our 10.66.0.9 lo 10.66.0.9", "route 0.0.0.0/0 via 10.66.0.9", "route ::/0 via fd66::1 metric 1024"},
			[]string{copied4},
		},
		{
			"-g outside the network", "normal", func(o *Options) { o.Gateway4 = ip("192.168.5.1") },
			[]string{"route 0.0.0.0/0 via 192.168.5.1 onlink"},
			nil,
		},
		{
			"-g at the peer", "attributes", func(o *Options) { o.Gateway4 = ip("10.68.0.1") },
			[]string{"route 0.0.0.0/0 via 10.68.0.1"},
			nil,
		},
		{
			"-g link-local", "normal", func(o *Options) { o.Gateway6 = ip("fe80::77") },
			[]string{
				"v6: template vH guest fd66::2/64 gw fe80::77 our fe80::77 lo fe80::77",
				"link: ll fe80::77 dhcp dhcpv6 ndp", "route ::/0 via fe80::77 metric 1024",
			},
			nil,
		},
		{
			"--no-copy-routes", "normal", func(o *Options) { o.NoCopyRoutes = true },
			[]string{"route 0.0.0.0/0 via 10.66.0.1", "route ::/0 via fd66::1 metric 1024"},
			[]string{copied4, "route fd66::/64"},
		},
		{
			"--no-copy-addrs", "host-prefix", func(o *Options) { o.NoCopyAddrs = true },
			[]string{"addr 198.51.100.8/32", "addr fd66::8/64"},
			[]string{"addr 198.51.100.7", "addr fd66::2"},
		},
		{
			"-i", "uplinks", func(o *Options) { o.Interface = "vH" },
			[]string{link4, "if: vH"},
			[]string{"info Multiple"},
		},
		{
			"-i without address", "no-uplink", func(o *Options) { o.Interface = "lo" },
			[]string{
				"v4: guest 169.254.2.1/16 gw 169.254.2.2 our 169.254.2.2 lo 169.254.2.2", "v6: template lo our fe80::1",
				"info IPv4: no external interface as template, use local mode",
			},
			[]string{"info No interfaces"},
		},
		{
			"--outbound-if4 is a template", "uplinks", func(o *Options) { o.OutboundIf4 = "vH" },
			[]string{link4},
			[]string{"info Multiple default IPv4"},
		},
		{
			"-i before --outbound-if4", "uplinks", func(o *Options) { o.Interface, o.OutboundIf4 = "vH", "wH" },
			[]string{link4},
			nil,
		},
		{
			"--outbound-if4 that is not there", "normal", func(o *Options) { o.OutboundIf4 = "x0" },
			[]string{link4},
			nil,
		},
		{
			"--no-map-gw", "normal", func(o *Options) { o.NoMapGW = true },
			[]string{"v4: template vH guest 10.66.0.2/24 gw 10.66.0.1 our 10.66.0.1", "v6: template vH guest fd66::2/64 gw fd66::1 our fd66::1"},
			nil,
		},
		{
			"--map-host-loopback for one family", "normal", func(o *Options) { o.MapHostLoopback4 = ip("169.254.1.3") },
			[]string{
				"v4: template vH guest 10.66.0.2/24 gw 10.66.0.1 our 10.66.0.1 lo 169.254.1.3",
				"v6: template vH guest fd66::2/64 gw fd66::1 our fd66::1 lo fd66::1",
			},
			nil,
		},
		{
			"--map-guest-addr", "normal", func(o *Options) { o.MapGuestAddr4, o.NoMapGW = ip("169.254.1.2"), true },
			[]string{"v4: template vH guest 10.66.0.2/24 gw 10.66.0.1 our 10.66.0.1 map-guest 169.254.1.2"},
			nil,
		},
		{
			"-4 in local mode", "no-uplink", func(o *Options) { o.V6 = false },
			[]string{"v4: guest 169.254.2.1/16 gw 169.254.2.2 our 169.254.2.2 lo 169.254.2.2", "if: tap0"},
			[]string{"v6:", "info No interfaces with usable IPv6", "info IPv6"},
		},
		{
			"-a in local mode", "no-uplink", func(o *Options) { o.Address4, o.PrefixLen4, o.Address6 = ip("169.254.7.7"), 16, ip("fd99::9") },
			[]string{"addr 169.254.7.7/16", "addr fd99::9/64", "link: ll fe80::1 dhcp dhcpv6 ndp"},
			nil,
		},
		{
			"-I", "normal", func(o *Options) { o.NsIfName = "net0" }, []string{"if: net0"}, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines(t, describe(decide(t, tt.host, "9.9.9.9", tt.change)), tt.want, tt.absent)
		})
	}
}

func TestDecideOutbound(t *testing.T) {
	p := decide(t, "normal", "", func(o *Options) {
		o.Outbound4, o.Outbound6 = ip("10.66.0.2"), ip("fd66::2")
		o.OutboundIf4, o.OutboundIf6 = "x0", "vH"
	})
	if p.V4.Outbound != ip("10.66.0.2") || p.V6.Outbound != ip("fd66::2") || p.V4.OutboundIf != "x0" || p.V6.OutboundIf != "vH" {
		t.Errorf("outbound: got %+v and %+v, want what was asked for", p.V4, p.V6)
	}
}

func TestPickAddress(t *testing.T) {
	tests := []struct {
		name string
		list []string
		want string
	}{
		{"none", nil, "invalid Prefix"},
		{"first of equals", []string{"10.0.0.2/24", "10.0.0.3/24"}, "10.0.0.2/24"},
		{"longest", []string{"10.0.0.2/24", "10.0.0.3/32", "10.0.0.4/28"}, "10.0.0.3/32"},
		{"IPv4 link-local last", []string{"169.254.1.1/16", "10.0.0.2/8"}, "10.0.0.2/8"},
		{"IPv4 link-local alone", []string{"169.254.1.1/16"}, "169.254.1.1/16"},
		{"IPv6 link-local never", []string{"fe80::2/64"}, "invalid Prefix"},
		{"IPv6 global", []string{"fe80::2/128", "fd00::2/64"}, "fd00::2/64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var addrs []rtnl.Addr
			for _, s := range tt.list {
				addrs = append(addrs, rtnl.Addr{Prefix: netip.MustParsePrefix(s)})
			}
			if got := pickAddress(addrs); got.String() != tt.want {
				t.Errorf("pickAddress: got %v, want %v", got, tt.want)
			}
		})
	}
	site := []rtnl.Addr{{Prefix: netip.MustParsePrefix("fd00::2/64"), Scope: rtnl.ScopeHost}}
	if got := pickAddress(site); got.IsValid() {
		t.Errorf("IPv6 address of host scope: got %v, want none", got)
	}
}

func TestCopiedAddrs(t *testing.T) {
	got := copiedAddrs([]rtnl.Addr{
		{Index: 3, Prefix: netip.MustParsePrefix("fd00::2/64"), Flags: 0x280},
		{Index: 3, Prefix: netip.MustParsePrefix("fe80::2/64")},
		{Index: 3, Prefix: netip.MustParsePrefix("169.254.3.3/16")},
	})
	want := rtnl.Addr{Prefix: netip.MustParsePrefix("fd00::2/64"), Flags: 0x280 | rtnl.AddrNoDAD}
	if len(got) != 1 || got[0] != want {
		t.Errorf("copiedAddrs: got %+v, want %+v", got, want)
	}
}

func TestClassBits(t *testing.T) {
	tests := []struct {
		name string
		want int
	}{
		{"10.0.0.1", 8},
		{"127.255.255.255", 8},
		{"128.0.0.1", 16},
		{"191.255.0.1", 16},
		{"192.0.2.1", 24},
		{"223.255.255.1", 24},
		{"240.0.0.1", 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := classBits(ip(tt.name)); got != tt.want {
				t.Errorf("classBits: got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestLinkLocalDestinationsAreLookedForOnTheTemplate(t *testing.T) {
	host := loadHost(t, "normal")
	link, ok := host.linkNamed("vH")
	if !ok {
		t.Fatal("the recorded host has no vH")
	}
	p := decideFamily(host, resolv.Conf{}, Options{V6: true}.family(rtnl.IPv6))
	if p.core.Scope != uint32(link.Index) {
		t.Errorf("scope: got %d, want index %d of the template", p.core.Scope, link.Index)
	}
	if p := decideFamily(host, resolv.Conf{}, Options{V4: true}.family(rtnl.IPv4)); p.core.Scope != 0 {
		t.Errorf("IPv4 scope: got %d, want none", p.core.Scope)
	}
	if p := decideFamily(HostState{}, resolv.Conf{}, Options{V6: true}.family(rtnl.IPv6)); p.core.Scope != 0 {
		t.Errorf("scope in local mode: got %d, want none", p.core.Scope)
	}
}
