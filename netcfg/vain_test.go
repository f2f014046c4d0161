package netcfg

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDecideVainOptions: who gives an option that changes nothing is told.
func TestDecideVainOptions(t *testing.T) {
	only4 := func(o *Options) { o.V6 = false }
	only6 := func(o *Options) { o.V4 = false }
	tests := []struct {
		name, host string
		changes    []func(*Options)
		want       []string
	}{
		{"none", "normal", nil, nil},
		{
			"IPv6 addresses, IPv4 only", "normal",
			[]func(*Options){only4, func(o *Options) {
				o.Address6, o.Gateway6, o.Outbound6, o.OutboundIf6 = ip("fd66::9"), ip("fd66::8"), ip("fd66::2"), "vH"
				o.DNS, o.SendDNS = addrsOf("9.9.9.9", "fd00::53"), true
				o.DNSForward6, o.DNSHost6 = ip("fe80::53"), ip("::1")
				o.MapHostLoopback6, o.MapGuestAddr6 = ip("fd66::7"), ip("fd66::6")
			}},
			[]string{"--address fd66::9, --gateway fd66::8, --outbound fd66::2, --outbound-if6 vH, --dns fd00::53, --dns-forward fe80::53, " +
				"--dns-host ::1, --map-host-loopback fd66::7, --map-guest-addr fd66::6: no effect, IPv6 is switched off by --ipv4-only"},
		},
		{
			"IPv4 addresses, IPv6 only", "normal",
			[]func(*Options){only6, func(o *Options) {
				o.PrefixLen4, o.OutboundIf4, o.DNSForward4, o.MapGuestAddr4 = 24, "vH", ip("10.0.2.3"), ip("10.0.2.4")
			}},
			[]string{"--netmask 24, --outbound-if4 vH, --dns-forward 10.0.2.3, --map-guest-addr 10.0.2.4: " +
				"no effect, IPv4 is switched off by --ipv6-only"},
		},
		{
			"length of an IPv4 address, IPv6 only", "normal",
			[]func(*Options){only6, func(o *Options) { o.Address4, o.PrefixLen4 = ip("10.0.2.100"), 24 }},
			[]string{"--address 10.0.2.100: no effect, IPv4 is switched off by --ipv6-only"},
		},
		{
			"what Podman always says, IPv6 only", "normal",
			[]func(*Options){only6, func(o *Options) {
				o.DNSForward4, o.MapGuestAddr4, o.NoMapGW = ip("169.254.1.1"), ip("169.254.1.2"), true
			}},
			nil,
		},
		{
			"what Podman always says", "normal",
			[]func(*Options){func(o *Options) {
				o.DNSForward4, o.MapGuestAddr4, o.NoMapGW = ip("169.254.1.1"), ip("169.254.1.2"), true
			}},
			nil,
		},
		{
			"what RootlessKit says", "normal",
			[]func(*Options){only4, func(o *Options) {
				o.Address4, o.PrefixLen4, o.Gateway4, o.DNSForward4 = ip("10.0.2.100"), 24, ip("10.0.2.2"), ip("10.0.2.3")
			}},
			nil,
		},
		{
			"IPv6 addresses, no IPv6 in the kernel", "ipv6-disabled",
			[]func(*Options){func(o *Options) { o.Address6 = ip("fd66::9") }},
			[]string{"--address fd66::9: no effect, IPv6 is disabled in the kernel"},
		},

		{
			"own addresses", "normal",
			[]func(*Options){func(o *Options) {
				o.MapHostLoopback4, o.MapGuestAddr6, o.DNSForward4 = ip("10.66.0.2"), ip("fd66::2"), ip("10.66.0.2")
			}},
			[]string{
				"--map-host-loopback 10.66.0.2: no effect, the namespace has that address itself",
				"--dns-forward 10.66.0.2: no effect, the namespace has that address itself",
				"--map-guest-addr fd66::2: no effect, the namespace has that address itself",
			},
		},
		{
			"addresses that are not copied", "host-prefix",
			[]func(*Options){func(o *Options) {
				o.ConfigNet, o.MapGuestAddr4 = false, ip("198.51.100.7")
			}},
			nil,
		},
		{
			"gateway to itself", "normal",
			[]func(*Options){func(o *Options) { o.Address6, o.Gateway6 = ip("fd66::9"), ip("fd66::9") }},
			[]string{"--gateway fd66::9: no effect, the namespace has that address itself"},
		},
		{
			"two meanings of an address", "normal",
			[]func(*Options){func(o *Options) { o.MapGuestAddr4 = ip("10.66.0.1") }},
			[]string{"--map-guest-addr 10.66.0.1: no effect, that address leads to the host's loopback: choose another"},
		},
		{
			"one meaning", "normal",
			[]func(*Options){func(o *Options) { o.MapGuestAddr4, o.NoMapGW = ip("10.66.0.1"), true }},
			nil,
		},
		{
			"--dns-host alone", "normal",
			[]func(*Options){func(o *Options) { o.DNSHost4 = ip("1.1.1.1") }},
			[]string{"--dns-host 1.1.1.1: no effect, no IPv4 address is forwarded to it: give --dns-forward"},
		},
		{
			"--dns-host of the other family", "normal",
			[]func(*Options){func(o *Options) { o.DNSHost6, o.DNSForward4 = ip("::1"), ip("169.254.1.1") }},
			[]string{"--dns-host ::1: no effect, no IPv6 address is forwarded to it: give --dns-forward"},
		},
		{
			"--netmask alone", "normal",
			[]func(*Options){func(o *Options) { o.PrefixLen4 = 16 }},
			[]string{"--netmask 16: no effect on addresses copied from the host, give --address too"},
		},
		{"--netmask for DHCP", "normal", []func(*Options){func(o *Options) { o.PrefixLen4, o.ConfigNet = 16, false }}, nil},
		{"--netmask of a single address", "normal", []func(*Options){func(o *Options) { o.PrefixLen4, o.NoCopyAddrs = 16, true }}, nil},
		{"--netmask in local mode", "no-uplink", []func(*Options){only4, func(o *Options) { o.PrefixLen4 = 24 }}, nil},
		{
			"sources that the host does not have", "normal",
			[]func(*Options){func(o *Options) {
				o.Outbound4, o.Outbound6, o.OutboundIf4 = ip("10.66.0.9"), ip("fd66::2"), "x0"
			}},
			[]string{
				"--outbound 10.66.0.9: no address of the host, which chooses another one as long as that is so",
				"--outbound-if4 x0: no such interface, flows are not bound to it as long as that is so",
			},
		},
		{"loopback source", "normal", []func(*Options){func(o *Options) { o.Outbound4 = ip("127.0.0.2") }}, nil},
		{
			"template without addresses", "normal",
			[]func(*Options){only4, func(o *Options) { o.Interface = "lo" }},
			[]string{"IPv4: interface lo has no address to take, use local mode"},
		},

		{
			"nothing sends it", "normal",
			[]func(*Options){func(o *Options) {
				o.DNS, o.Search = addrsOf("1.1.1.1"), []string{"a.example"}
			}},
			[]string{"--dns: no effect, namespaces are told it only with --dhcp-dns", "--search: no effect, namespaces are told it only with --dhcp-search"},
		},
		{
			"all services are off", "normal",
			[]func(*Options){func(o *Options) {
				o.NoDHCP, o.NoDHCPv6, o.SendDNS, o.SendSearch, o.Hostname, o.FQDN = true, true, true, true, "box", "box.example"
			}},
			[]string{
				"--dhcp-dns: no effect, DHCP, DHCPv6 and router advertisements are off",
				"--dhcp-search: no effect, DHCP, DHCPv6 and router advertisements are off",
				"--hostname: no effect, DHCP is off",
				"--fqdn: no effect, DHCP and DHCPv6 are off",
			},
		},
		{
			"name for DHCP, IPv6 only", "normal",
			[]func(*Options){only6, func(o *Options) { o.Hostname, o.FQDN = "box", "box.example" }},
			[]string{"--hostname: no effect, DHCP is off"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decide(t, tt.host, "9.9.9.9 fd00::53", func(o *Options) {
				for _, change := range tt.changes {
					change(o)
				}
			}).Warnings
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
