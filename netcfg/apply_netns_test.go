package netcfg

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// newTap makes a tap interface for the rest of the test. It must be a real one:
// other kinds of interfaces get their carrier, and with it their link-local
// address, a little after they were set up.
func newTap(t *testing.T, name string) {
	t.Helper()
	fd, _, step, err := sys.TapOpen(name, false)
	if err != nil {
		t.Fatalf("%s: %v", step, err)
	}
	t.Cleanup(func() { sys.Close(fd) })
}

// apply carries out the plan and returns what the namespace then looks like.
func apply(t *testing.T, n NamespacePlan) (Applied, HostState) {
	t.Helper()
	c := open(t)
	done, err := ConfigureNamespace(c, n)
	if err != nil {
		t.Fatal(err)
	}
	return done, settled(t, c)
}

// settled reads the state once no address is tentative any more. The kernel
// clears that from a work queue, at once for addresses without duplicate
// detection; with it, that would take a second.
func settled(t *testing.T, c *rtnl.Conn) HostState {
	t.Helper()
	tentative := func(a rtnl.Addr) bool { return a.Flags&rtnl.AddrTentative != 0 }
	for deadline := time.Now().Add(500 * time.Millisecond); ; time.Sleep(time.Millisecond) {
		state, err := Discover(c)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(state.Addrs, tentative) || time.Now().After(deadline) {
			return state
		}
	}
}

// The namespace of every recorded host has what the plan says.
func TestNamespaceMatchesThePlan(t *testing.T) {
	for _, host := range hostNames(t) {
		t.Run(host, func(t *testing.T) {
			netnstest.Run(t, func(t *testing.T) {
				plan := decide(t, host, "", nil).Namespace
				newTap(t, plan.IfName)
				done, state := apply(t, plan)
				if len(done.Warnings) > 0 {
					t.Errorf("warnings: %q", done.Warnings)
				}
				checkAddrs(t, plan, done.Index, state)
				checkRoutes(t, plan, done.Index, state)
				checkLink(t, plan, state)
			})
		})
	}
}

// checkAddrs wants every planned address, and all IPv6 ones usable at once.
func checkAddrs(t *testing.T, plan NamespacePlan, index int, state HostState) {
	t.Helper()
	for _, want := range plan.Addrs {
		i := slices.IndexFunc(state.Addrs, func(a rtnl.Addr) bool {
			return a.Index == index && a.Prefix == want.Prefix && a.Peer == want.Peer
		})
		if i < 0 {
			t.Errorf("address %v: not in %v", want, state.Addrs)
		}
	}
	linkLocal := false
	for _, a := range state.Addrs {
		if a.Index != index || !a.Prefix.Addr().Is6() {
			continue
		}
		linkLocal = linkLocal || a.Prefix.Addr().IsLinkLocalUnicast()
		if a.Flags&rtnl.AddrTentative != 0 || a.Flags&rtnl.AddrNoDAD == 0 {
			t.Errorf("address %v: flags %#x, want NODAD and not tentative", a.Prefix, a.Flags)
		}
	}
	if !linkLocal {
		t.Errorf("no link-local address in %v", state.Addrs)
	}
}

// checkRoutes wants every planned route with all its attributes. Only the
// preferred source may be the kernel's: of a route that came with an address.
func checkRoutes(t *testing.T, plan NamespacePlan, index int, state HostState) {
	t.Helper()
	var have []string
	for _, r := range state.Routes {
		text, _, _ := strings.Cut(routeText(r), " src ")
		have = append(have, text)
	}
	onTap := applier{plan: plan, index: index}
	for _, r := range append(onTap.routes(rtnl.IPv4), onTap.routes(rtnl.IPv6)...) {
		if want := routeText(r); !slices.Contains(have, want) {
			t.Errorf("route %q: not in\n%s", want, strings.Join(have, "\n"))
		}
	}
}

func checkLink(t *testing.T, plan NamespacePlan, state HostState) {
	t.Helper()
	lo, _ := state.linkNamed("lo")
	tap, _ := state.linkNamed(plan.IfName)
	if lo.Flags&rtnl.LinkUp == 0 {
		t.Errorf("lo is down: %+v", lo)
	}
	if tap.Flags&(rtnl.LinkUp|rtnl.LinkNoARP) != rtnl.LinkUp || tap.MTU != plan.MTU || tap.TxQLen != plan.TxQLen {
		t.Errorf("interface: got %+v, want up with ARP, MTU %d and queue %d", tap, plan.MTU, plan.TxQLen)
	}
}

// What iproute2 shows is what a user compares with the host.
func TestNamespaceAsShownByIproute(t *testing.T) {
	tests := []struct {
		host string
		want []string
	}{
		{"normal", []string{
			"default via 10.66.0.1 dev vH", "10.66.0.0/24 dev vH proto kernel scope link",
			"10.66.0.0/24 dev vH proto kernel scope link src 10.66.0.2",
			"default via fd66::1 dev vH metric 1024 pref medium",
		}},
		{"attributes", []string{
			"default via 10.66.0.1 dev vH proto dhcp metric 100 mtu 1400 advmss 1300 congctl reno",
			"10.70.0.0/16 tos 0x10 via 10.66.0.7 dev vH",
			"10.68.0.1 dev vH proto kernel scope link",
			"default from fd70::/64 via fd66::5 dev vH metric 1024 pref medium",
			"default via fd66::1 dev vH proto ra metric 1024 mtu 1400 pref high",
		}},
		{"multipath-weights", []string{
			"nexthop via 10.66.0.1 dev vH weight 3", "nexthop via 10.66.0.9 dev vH weight 7",
			"nexthop via fd66::1 dev vH weight 2", "nexthop via fd66::9 dev vH weight 4",
		}},
		{"onlink-gateway", []string{
			"default via 198.51.100.1 dev vH onlink", "default via fd99::1 dev vH metric 1024 onlink pref medium",
		}},
		{"no-gateway", []string{"default dev vH scope link", "default dev vH metric 1024 pref medium"}},
		{"no-uplink", []string{"default via 169.254.2.2 dev tap0", "default via fe80::1 dev tap0 metric 1024 pref medium"}},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			netnstest.Run(t, func(t *testing.T) {
				plan := decide(t, tt.host, "", nil).Namespace
				newTap(t, plan.IfName)
				apply(t, plan)
				var have []string
				for l := range strings.Lines(netnstest.IP(t, "route show\n") + netnstest.IP(t, "route show\n", "-6")) {
					have = append(have, strings.Join(strings.Fields(l), " "))
				}
				for _, want := range tt.want {
					if !slices.Contains(have, want) {
						t.Errorf("route %q: not in\n%s", want, strings.Join(have, "\n"))
					}
				}
			})
		})
	}
}

func TestNamespaceWithMAC(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		mac := [6]byte{2, 0, 0, 0, 0, 7}
		plan := decide(t, "normal", "", func(o *Options) { o.NsMAC = &mac }).Namespace
		newTap(t, plan.IfName)
		done, state := apply(t, plan)
		if tap, _ := state.linkNamed(plan.IfName); done.MAC != mac || tap.MAC != "02:00:00:00:00:07" {
			t.Errorf("MAC: got %v and %v, want %v", done.MAC, tap.MAC, mac)
		}
	})
}

func TestNamespaceWithIPv6Off(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		for _, name := range []string{"all", "default"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		plan := decide(t, "normal", "", nil).Namespace
		newTap(t, plan.IfName)
		done, state := apply(t, plan)
		want := "IPv6 not configured on vH in the namespace: disabled by the sysctl net.ipv6.conf.vH.disable_ipv6"
		if len(done.Warnings) != 1 || done.Warnings[0] != want {
			t.Errorf("warnings: got %q, want %q", done.Warnings, want)
		}
		if !slices.ContainsFunc(state.Routes, rtnl.Route.IsDefault) {
			t.Errorf("no IPv4 default route in %+v", state.Routes)
		}
	})
}

// A namespace starts in a few milliseconds; the bound is wide, as test machines
// are busy, but would catch a timeout or a probe for duplicates (1 s).
func TestConfigureNamespaceIsQuick(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		plan := decide(t, "normal", "", nil).Namespace
		newTap(t, plan.IfName)
		c := open(t)
		start := time.Now()
		if _, err := ConfigureNamespace(c, plan); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("configured in %v", took)
		if took > 500*time.Millisecond {
			t.Errorf("configured in %v, want a few milliseconds", took)
		}
	})
}
