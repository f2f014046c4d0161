package netcfg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// bothFamilies are the options that pasta has by default, with --config-net.
func bothFamilies() Options {
	return Options{V4: true, V6: true, MTU: 65520, ConfigNet: true}
}

// resolvers builds the content of a resolv.conf from addresses.
func resolvers(t *testing.T, list string) resolv.Conf {
	t.Helper()
	text := ""
	for _, w := range strings.Fields(list) {
		text += "nameserver " + w + "\n"
	}
	c, err := resolv.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decide is Decide on a recorded host where that must work.
func decide(t *testing.T, host, servers string, change func(*Options)) Plan {
	t.Helper()
	o := bothFamilies()
	if change != nil {
		change(&o)
	}
	p, err := Decide(loadHost(t, host), resolvers(t, servers), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The plan for every recorded host without further options is that of the
// NAME.plan beside it.
func TestDecideOnRecordedHosts(t *testing.T) {
	for _, name := range append(hostNames(t), "ipv6-disabled") {
		t.Run(name, func(t *testing.T) {
			wantGolden(t, filepath.Join("testdata", name+".plan"), describe(decide(t, name, "9.9.9.9", nil)))
		})
	}
}

// wantGolden compares a text with that of a file, or writes it there with -update.
func wantGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// lines checks that text has all of want as whole lines and none of absent as
// the beginning of one.
func lines(t *testing.T, text string, want, absent []string) {
	t.Helper()
	text = "\n" + text
	for _, w := range want {
		if !strings.Contains(text, "\n"+w+"\n") {
			t.Errorf("missing line %q in:%s", w, text)
		}
	}
	for _, a := range absent {
		if strings.Contains(text, "\n"+a) {
			t.Errorf("unexpected line %q in:%s", a, text)
		}
	}
}

func TestDecideErrors(t *testing.T) {
	tests := []struct {
		name, host string
		change     func(*Options)
		want       string
	}{
		{
			"no such interface", "normal", func(o *Options) { o.Interface = "x0" },
			"Invalid interface name x0: No such device",
		},
		{
			"IPv6 alone without IPv6", "ipv6-disabled", func(o *Options) { o.V4 = false },
			"IPv4 is switched off and IPv6 is disabled in the kernel: no protocol left",
		},
		{
			"IPv6 alone with a small MTU", "normal", func(o *Options) { o.V4, o.MTU = false, 1279 },
			"MTU 1279 is too small for IPv6 (minimum 1280), and IPv4 is switched off: raise --mtu, or give no --ipv6-only",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := bothFamilies()
			tt.change(&o)
			if _, err := Decide(loadHost(t, tt.host), resolv.Conf{}, o); err == nil || err.Error() != tt.want {
				t.Errorf("Decide: got error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDecideServices(t *testing.T) {
	tests := []struct {
		name, host string
		change     func(*Options)
		want       string
	}{
		{"all", "normal", func(o *Options) { o.ConfigNet = false }, "link: ll fe80::2 dhcp dhcpv6 ndp ra"},
		{"--config-net sends no RA", "normal", nil, "link: ll fe80::2 dhcp dhcpv6 ndp"},
		{
			"--no-ndp stops RA too", "normal", func(o *Options) { o.ConfigNet, o.NoNDP = false, true },
			"link: ll fe80::2 dhcp dhcpv6",
		},
		{
			"--no-ra", "normal", func(o *Options) { o.ConfigNet, o.NoRA = false, true },
			"link: ll fe80::2 dhcp dhcpv6 ndp",
		},
		{"--no-dhcp --no-dhcpv6", "normal", func(o *Options) { o.NoDHCP, o.NoDHCPv6 = true, true }, "link: ll fe80::2 ndp"},
		{"no gateway, no DHCP", "no-gateway", nil, "link: ll fe80::2 dhcpv6 ndp"},
		{"--gateway brings DHCP", "no-gateway", func(o *Options) { o.Gateway4 = ip("10.66.0.9") }, "link: ll fe80::2 dhcp dhcpv6 ndp"},
		{"nothing to assign, no DHCPv6", "only-link-local", nil, "link: ll fe80::1 dhcp ndp"},
		{"IPv4 only", "normal", func(o *Options) { o.V6 = false }, "link: dhcp"},
		{"IPv6 only", "normal", func(o *Options) { o.V4 = false }, "link: ll fe80::2 dhcpv6 ndp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines(t, describe(decide(t, tt.host, "9.9.9.9", tt.change)), []string{tt.want}, nil)
		})
	}
}

func TestDecideLinkTexts(t *testing.T) {
	got := decide(t, "normal", "9.9.9.9", func(o *Options) {
		o.SendDNS, o.SendSearch, o.Hostname, o.FQDN = true, true, "box", "box.example"
		o.Search = []string{"a.example"}
	}).Link
	want := config.Link{
		DHCP: true, DHCPv6: true, NDP: true, SendDNS: true, SendSearch: true,
		Search: []string{"a.example"}, Hostname: "box", FQDN: "box.example",
	}
	if diff := cmp.Diff(want, got, netipValues); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
}

func TestDecideNamespace(t *testing.T) {
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	p := decide(t, "normal", "", func(o *Options) { o.MTU, o.NsMAC, o.NsIfName, o.OurMAC = 1400, &mac, "net0", mac })
	n := p.Namespace
	if n.IfName != "net0" || n.MTU != 1400 || n.MAC != &mac || n.TxQLen != 1000 || !n.Configure {
		t.Errorf("namespace: got %+v, want net0 with MTU, MAC and queue", n)
	}
	if c := p.Config(); c.MTU != 1400 || c.OurMAC != mac || c.V4.Guest != ip("10.66.0.2") || !c.Link.NDP || c.OurLinkLocal != ip("fe80::2") {
		t.Errorf("Config: got %+v, want MTU, MAC and addressing of the plan", c)
	}
	p = decide(t, "normal", "", func(o *Options) { o.MTU = 67 })
	if p.Namespace.MTU != 0 || p.Config().MTU != 0 {
		t.Errorf("MTU 67: got %d and %d, want none", p.Namespace.MTU, p.Config().MTU)
	}
	p = decide(t, "normal", "", func(o *Options) { o.ConfigNet = false })
	if n := p.Namespace; n.Configure || len(n.Addrs)+len(n.Routes) != 0 {
		t.Errorf("namespace without --config-net: got %+v, want no addresses and routes", n)
	}
	p = decide(t, "normal", "9.9.9.9", func(o *Options) { o.NoInterface, o.OurMAC = true, mac })
	if n := p.Namespace; n.IfName != "" || p.OurMAC != mac || !p.V4.Enabled || !p.V6.Enabled || p.V4.Guest.IsValid() || p.Link.DHCP {
		t.Errorf("without interface: got %+v, want both families and nothing for an interface", p)
	}
}

func TestDecideMTUWarnings(t *testing.T) {
	const small4, small6 = "is too small for IPv4 (minimum 68)", "is too small for IPv6 (minimum 1280)"
	const left = "is not assigned, as with --mtu 0: no interface takes less than 68"
	tests := []struct {
		name   string
		change func(*Options)
		want   []string
	}{
		{"default", nil, nil},
		{"least of IPv6", func(o *Options) { o.MTU = 1280 }, nil},
		{"too small for IPv6", func(o *Options) { o.MTU = 1279 }, []string{"MTU 1279 " + small6}},
		{"too small, IPv4 only", func(o *Options) { o.MTU, o.V6 = 67, false }, []string{"MTU 67 " + small4, "MTU 67 " + left}},
		{"least of IPv4", func(o *Options) { o.MTU, o.V6 = 68, false }, nil},
		{"too small for interfaces", func(o *Options) { o.MTU = 1 }, []string{"MTU 1 " + small4, "MTU 1 " + small6, "MTU 1 " + left}},
		{"too small, IPv6 only", func(o *Options) { o.MTU, o.V4 = 67, false }, []string{"MTU 67 " + small6, "MTU 67 " + left}},
		{
			"too small for IPv6 only, which configures itself", func(o *Options) { o.MTU, o.V4, o.ConfigNet = 1279, false, false },
			[]string{"MTU 1279 " + small6},
		},
		{"none assigned", func(o *Options) { o.MTU = 0 }, []string{"MTU 0 " + small4, "MTU 0 " + small6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decide(t, "normal", "9.9.9.9 fd00::53", tt.change).Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiscoverReportsErrors(t *testing.T) {
	requests := []string{
		"list interfaces", "list IPv4 addresses", "list IPv4 routes", "list IPv6 addresses", "list IPv6 routes",
	}
	for _, failing := range requests {
		t.Run(failing, func(t *testing.T) {
			k := fakeKernel(rtnl.IPv6On)
			k.Fail = failOn(failing)
			if _, err := Discover(k); err == nil {
				t.Error("Discover: got no error")
			}
		})
	}
}

func TestDiscoverWithoutIPv6(t *testing.T) {
	k := fakeKernel(rtnl.IPv6Absent)
	k.Fail = failOn("list IPv6 routes") // must not even be asked for
	s, err := Discover(k)
	if err != nil || !s.NoIPv6 {
		t.Errorf("Discover: got %+v, %v, want NoIPv6", s, err)
	}
}
