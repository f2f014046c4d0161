package netcfg

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/netcfg/rtnl"
	"github.com/pasta-net/pasta/netcfg/rtnl/rtnltest"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// fakeKernel is a fresh namespace with lo and a tap named vH.
func fakeKernel(v6 rtnl.IPv6State) *rtnltest.Kernel {
	return &rtnltest.Kernel{LinkList: []rtnl.Link{
		{Index: 1, Name: "lo", Flags: rtnl.LinkLoopback, MTU: 65536, IPv6: v6},
		{Index: 2, Name: "vH", MTU: 1500, MAC: "02:00:00:00:00:99", IPv6: v6},
	}}
}

// failOn refuses the requests that start with the given text.
func failOn(prefix string) func(string) error {
	return func(request string) error {
		if strings.HasPrefix(request, prefix) {
			return syscall.EPERM
		}
		return nil
	}
}

func TestConfigureNamespaceKeepsTheOrder(t *testing.T) {
	k := fakeKernel(rtnl.IPv6On)
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	plan := decide(t, "normal", "", func(o *Options) { o.NsMAC = &mac }).Namespace
	got, err := ConfigureNamespace(k, plan)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Applied{Index: 2, MAC: mac}, got); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	want := []string{
		"set interface 1 (flags +0x1 -0x0)",
		"set interface 2 (flags +0x81 -0x0 mac 02:00:00:00:00:01 mtu 65520 txqueuelen 1000)",
		"add address 10.66.0.2/24 on interface 2",
		"add route default (IPv4) via 10.66.0.1 on interface 2",
		"add route 10.66.0.0/24 on interface 2",
		"remove address fe80::2/64 on interface 2",
		"set interface 2 (flags +0x0 -0x80)",
		"add address fe80::2/64 on interface 2",
		"add address fd66::2/64 on interface 2",
		"add route fd66::/64 on interface 2",
		"add route fe80::/64 on interface 2",
		"add route default (IPv6) via fd66::1 on interface 2",
	}
	if diff := cmp.Diff(want, k.Log); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if i := slices.IndexFunc(k.AddrList, func(a rtnl.Addr) bool { return a.Flags&rtnl.AddrNoDAD == 0 && a.Prefix.Addr().Is6() }); i >= 0 {
		t.Errorf("IPv6 address with duplicate detection: %+v", k.AddrList[i])
	}
}

func TestConfigureNamespaceWithoutConfigNet(t *testing.T) {
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	tests := []struct {
		name string
		plan NamespacePlan
		log  []string
		mac  [6]byte
	}{
		{"lo alone", NamespacePlan{IfName: "vH"}, []string{"set interface 1 (flags +0x1 -0x0)"}, [6]byte{2, 0, 0, 0, 0, 0x99}},
		{"no interface", NamespacePlan{Configure: true}, []string{"set interface 1 (flags +0x1 -0x0)"}, [6]byte{}},
		{"MAC", NamespacePlan{IfName: "vH", MAC: &mac}, []string{
			"set interface 1 (flags +0x1 -0x0)", "set interface 2 (flags +0x0 -0x0 mac 02:00:00:00:00:01)",
		}, mac},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := fakeKernel(rtnl.IPv6On)
			got, err := ConfigureNamespace(k, tt.plan)
			if err != nil || got.MAC != tt.mac {
				t.Errorf("got MAC %v, %v, want %v", got.MAC, err, tt.mac)
			}
			if diff := cmp.Diff(tt.log, k.Log); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// Routes come in an order in which each needs the next one.
func TestConfigureNamespaceRetriesDependentRoutes(t *testing.T) {
	k := fakeKernel(rtnl.IPv6On)
	plan := decide(t, "host-route-gateway", "", func(o *Options) { o.V6 = false }).Namespace
	got, err := ConfigureNamespace(k, plan)
	if err != nil || len(got.Warnings) != 0 {
		t.Fatalf("got warnings %v, error %v, want none", got.Warnings, err)
	}
	if !slices.ContainsFunc(k.RouteList, rtnl.Route.IsDefault) {
		t.Errorf("no default route in %+v\n%s", k.RouteList, strings.Join(k.Log, "\n"))
	}
}

func TestConfigureNamespaceReportsUnreachableRoutes(t *testing.T) {
	k := fakeKernel(rtnl.IPv6On)
	plan := decide(t, "normal", "", func(o *Options) { o.V6 = false }).Namespace
	plan.Routes = append(plan.Routes, defaultRoute(ip("192.0.2.1"), false))
	plan.Routes[len(plan.Routes)-1].Priority = 7
	got, err := ConfigureNamespace(k, plan)
	if err != nil || len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "route left out: ") {
		t.Errorf("got warnings %q, error %v, want one about the route left out", got.Warnings, err)
	}
}

func TestConfigureNamespaceWithoutIPv6(t *testing.T) {
	tests := []struct {
		name   string
		state  rtnl.IPv6State
		change func(*Options)
		want   []string
	}{
		{"on", rtnl.IPv6On, nil, nil},
		{"off by sysctl", rtnl.IPv6Off, nil, []string{
			"IPv6 not configured on vH in the namespace: disabled by the sysctl net.ipv6.conf.vH.disable_ipv6",
		}},
		{"not in the kernel", rtnl.IPv6Absent, nil, []string{
			"IPv6 not configured on vH in the namespace: not available in the kernel",
		}},
		{"MTU too small", rtnl.IPv6On, func(o *Options) { o.MTU = 1000 }, []string{
			"IPv6 not configured on vH in the namespace: MTU 1000 is below 1280: raise --mtu, or do without IPv6",
		}},
		{"not wanted", rtnl.IPv6Off, func(o *Options) { o.V6 = false }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := fakeKernel(tt.state)
			got, err := ConfigureNamespace(k, decide(t, "normal", "", tt.change).Namespace)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			addrs, _ := k.Addrs(rtnl.IPv4)
			if len(addrs) != 1 || k.LinkList[1].Flags&rtnl.LinkNoARP != 0 {
				t.Errorf("IPv4 incomplete: addresses %v, link %+v", addrs, k.LinkList[1])
			}
		})
	}
}

func TestConfigureNamespaceStopsOnErrors(t *testing.T) {
	requests := []string{
		"set interface 1", "find interface vH", "set interface 2 (flags +0x81", "add address 10.", "add route default (IPv4)",
		"list IPv6 addresses", "remove address", "set interface 2 (flags +0x0", "add address fe80", "add address fd66", "add route default (IPv6)",
	}
	for _, failing := range requests {
		t.Run(failing, func(t *testing.T) {
			k := fakeKernel(rtnl.IPv6On)
			k.Fail = failOn(failing)
			_, err := ConfigureNamespace(k, decide(t, "normal", "", nil).Namespace)
			if !errors.Is(err, syscall.EPERM) {
				t.Errorf("got %v, want EPERM", err)
			}
		})
	}
}

func TestConfigureNamespaceTwiceChangesNothing(t *testing.T) {
	k := fakeKernel(rtnl.IPv6On)
	plan := decide(t, "normal", "", nil).Namespace
	for range 2 {
		if _, err := ConfigureNamespace(k, plan); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.AddrList) != 3 {
		t.Errorf("addresses: got %v, want 3", k.AddrList)
	}
}
