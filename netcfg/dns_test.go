package netcfg

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/netcfg/resolv"
)

func addrsOf(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, ip(s))
	}
	return out
}

func TestDecideDNS(t *testing.T) {
	tests := []struct {
		name, servers string
		change        func(*Options)
		want, absent  []string
	}{
		{"as is", "9.9.9.9 fd00::53", nil, []string{"dns4: host 9.9.9.9 9.9.9.9", "dns6: host fd00::53 fd00::53"}, nil},
		{"loopback listed as the mapping", "127.0.0.53", nil, []string{"dns4: forward 10.66.0.1 host 127.0.0.53 10.66.0.1"}, []string{"dns6"}},
		{"IPv6 loopback", "::1", nil, []string{"dns6: forward fd66::1 host ::1 fd66::1"}, []string{"dns4"}},
		{"resolver is the gateway", "10.66.0.1", nil, []string{"dns4: forward 10.66.0.1 host 10.66.0.1 10.66.0.1"}, nil},
		{"mixed", "9.9.9.9 127.0.0.53", nil, []string{"dns4: forward 10.66.0.1 host 9.9.9.9 9.9.9.9 10.66.0.1"}, nil},
		{"two loopback ones once", "127.0.0.53 127.0.0.54", nil, []string{"dns4: forward 10.66.0.1 host 127.0.0.53 10.66.0.1"}, nil},
		{
			"--dns-forward", "127.0.0.53", func(o *Options) { o.DNSForward4 = ip("169.254.1.1") },
			[]string{"dns4: forward 169.254.1.1 host 127.0.0.53 169.254.1.1"},
			nil,
		},
		{
			"--dns-forward and --no-map-gw", "127.0.0.53", func(o *Options) { o.DNSForward4, o.NoMapGW = ip("169.254.1.1"), true },
			[]string{"dns4: forward 169.254.1.1 host 127.0.0.53 169.254.1.1"},
			nil,
		},
		{
			"--dns-forward ends the implicit rule", "10.66.0.1", func(o *Options) { o.DNSForward4 = ip("169.254.1.1") },
			[]string{"dns4: forward 169.254.1.1 host 10.66.0.1 10.66.0.1"},
			nil,
		},
		{"loopback without any mapping", "127.0.0.53", func(o *Options) { o.NoMapGW = true }, []string{"dns4: host 127.0.0.53"}, nil},
		{
			"--map-host-loopback", "127.0.0.53", func(o *Options) { o.MapHostLoopback4 = ip("169.254.1.3") },
			[]string{"dns4: forward 169.254.1.3 host 127.0.0.53 169.254.1.3"},
			nil,
		},
		{
			"--dns-host", "9.9.9.9", func(o *Options) { o.DNSHost4, o.DNSForward4 = ip("127.0.0.1"), ip("169.254.1.1") },
			[]string{"dns4: forward 169.254.1.1 host 127.0.0.1 9.9.9.9"},
			nil,
		},
		{
			"-D for one family", "9.9.9.9 fd00::53", func(o *Options) { o.DNS = addrsOf("127.0.0.1", "1.1.1.1") },
			[]string{"dns4: host 9.9.9.9 127.0.0.1 1.1.1.1", "dns6: host fd00::53 fd00::53"},
			nil,
		},
		{"-D none", "127.0.0.53", func(o *Options) { o.NoDNS = true }, []string{"dns4: host 127.0.0.53"}, []string{"warn"}},
		{
			"-D none with --dns-forward", "127.0.0.53", func(o *Options) { o.NoDNS, o.DNSForward4 = true, ip("169.254.1.1") },
			[]string{"dns4: forward 169.254.1.1 host 127.0.0.53"},
			nil,
		},
		{"disabled family", "9.9.9.9 fd00::53", func(o *Options) { o.V6 = false }, nil, []string{"dns6"}},
		{"at most three", "9.9.9.9", func(o *Options) { o.DNS = addrsOf("1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4") }, []string{"dns4: host 9.9.9.9 1.0.0.1 1.0.0.2 1.0.0.3"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines(t, describe(decide(t, "normal", tt.servers, tt.change)), tt.want, tt.absent)
		})
	}
}

func TestDecideDNSWarnings(t *testing.T) {
	send := func(o *Options) { o.SendDNS = true }
	const none = "Couldn't get any nameserver address"
	const none4, none6 = "No IPv4 nameserver available for DHCP", "No IPv6 nameserver available for NDP/DHCPv6"
	tests := []struct {
		name, servers string
		change        func(*Options)
		want          []string
	}{
		{"none at all", "", nil, []string{none}},
		{"none at all to send", "", send, []string{none, none4, none6}},
		{"of one family", "9.9.9.9", nil, nil},
		{"of one family to send", "9.9.9.9", send, []string{none6}},
		{"only of the disabled family", "9.9.9.9", func(o *Options) { o.V4 = false }, []string{none}},
		{"loopback that cannot be reached", "127.0.0.1", func(o *Options) { o.SendDNS, o.NoMapGW, o.V6 = true, true, false }, []string{none4}},
		{"-D none", "", func(o *Options) { o.NoDNS, o.SendDNS = true, true }, nil},
		{"-D", "", func(o *Options) { o.SendDNS, o.DNS = true, addrsOf("1.1.1.1", "fd00::53") }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decide(t, "normal", tt.servers, tt.change).Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSearchList(t *testing.T) {
	file := resolv.Conf{Search: []string{"a.example"}}
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"of the host", Options{}, file.Search},
		{"-S", Options{Search: []string{"b.example"}}, []string{"b.example"}},
		{"-S none", Options{NoSearch: true, Search: []string{"b.example"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, searchList(tt.o, file)); diff != "" {
				t.Errorf("searchList (-want +got):\n%s", diff)
			}
		})
	}
}
