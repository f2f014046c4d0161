package slirp4netns

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

var netipValues = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestNetwork6(t *testing.T) {
	if want := netPrefix("fd00::/64"); prefix6 != want {
		t.Errorf("prefix %v, want %v", prefix6, want)
	}
	for text, got := range map[string]netip.Addr{"fd00::2": gateway6, "fd00::3": dns6, "fe80::2": router6} {
		if got != netAddr(text) {
			t.Errorf("address %v, want %s", got, text)
		}
	}
}

func netPrefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }
func netAddr(text string) netip.Addr     { return netip.MustParseAddr(text) }

func netAddrs(list ...string) (addrs []netip.Addr) {
	for _, a := range list {
		addrs = append(addrs, netAddr(a))
	}
	return addrs
}

// plan4 and plan6 are the families of the usual plan, changed.
func plan4(change func(*config.Family)) config.Family {
	f := config.Family{
		Enabled: true, Guest: netAddr("10.0.2.100"), PrefixLen: 24, Gateway: netAddr("10.0.2.2"), Our: netAddr("10.0.2.2"),
		MapHostLoopback: netAddr("10.0.2.2"), DNSForward: netAddr("10.0.2.3"), DNSAllPorts: true, DNS: netAddrs("10.0.2.3"),
		Own: netAddrs("10.0.2.2", "10.0.2.3"), Closed: netAddrs("10.0.2.2", "10.0.2.3"), OutboundLoopback: true,
	}
	if change != nil {
		change(&f)
	}
	return f
}

func plan6(change func(*config.Family)) config.Family {
	f := config.Family{
		Enabled: true, PrefixLen: 64, Gateway: netAddr("fd00::2"), Our: netAddr("fd00::2"),
		MapHostLoopback: netAddr("fd00::2"), DNSForward: netAddr("fd00::3"), DNSAllPorts: true, DNS: netAddrs("fd00::3"),
		Own: netAddrs("fd00::2", "fd00::3", "fe80::2"), Closed: netAddrs("fd00::2", "fd00::3", "fe80::2"), OutboundLoopback: true,
	}
	if change != nil {
		change(&f)
	}
	return f
}

func TestAddressPlan(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		v4, v6     config.Family
	}{
		{"usual", "", plan4(nil), config.Family{}},
		{"IPv6", "-6", plan4(nil), plan6(nil)},
		{
			"no loopback", "-6 --disable-host-loopback",
			plan4(func(f *config.Family) { f.MapHostLoopback = netip.Addr{} }),
			plan6(func(f *config.Family) { f.MapHostLoopback = netip.Addr{} }),
		},
		{
			"no DNS", "-6 --disable-dns",
			plan4(func(f *config.Family) {
				f.DNSForward, f.DNSAllPorts, f.Closed = netip.Addr{}, false, netAddrs("10.0.2.2")
			}),
			plan6(func(f *config.Family) {
				f.DNSForward, f.DNSAllPorts, f.Closed = netip.Addr{}, false, netAddrs("fd00::2", "fe80::2")
			}),
		},
		{
			"sources", "-6 --outbound-addr=192.0.2.1 --outbound-addr6=2001:db8::1",
			plan4(func(f *config.Family) { f.Outbound = netAddr("192.0.2.1") }),
			plan6(func(f *config.Family) { f.Outbound = netAddr("2001:db8::1") }),
		},
		{"another network", "--cidr 192.168.128.0/25", plan4(func(f *config.Family) {
			f.Guest, f.PrefixLen, f.Gateway, f.Our = netAddr("192.168.128.100"), 25, netAddr("192.168.128.2"), netAddr("192.168.128.2")
			f.MapHostLoopback, f.DNSForward, f.DNS = f.Gateway, netAddr("192.168.128.3"), netAddrs("192.168.128.3")
			f.Own = netAddrs("192.168.128.2", "192.168.128.3")
			f.Closed = f.Own
		}), config.Family{}},
		{"upper half", "--cidr 10.0.2.128/25", plan4(func(f *config.Family) {
			f.Guest, f.PrefixLen, f.Gateway, f.Our = netAddr("10.0.2.228"), 25, netAddr("10.0.2.130"), netAddr("10.0.2.130")
			f.MapHostLoopback, f.DNSForward, f.DNS = f.Gateway, netAddr("10.0.2.131"), netAddrs("10.0.2.131")
			f.Own = netAddrs("10.0.2.130", "10.0.2.131")
			f.Closed = f.Own
		}), config.Family{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, append(strings.Fields(tt.args), "42", "tap0")...)
			c := s.config()
			if diff := cmp.Diff([]config.Family{tt.v4, tt.v6}, []config.Family{c.V4, c.V6}, netipValues); diff != "" {
				t.Errorf("families (-want +got):\n%s", diff)
			}
			wantLink := config.Link{
				DHCP: true, LeaseSec: 86400, SendDNS: true, Pool: config.Pool{First: s.network.host(15), Len: 16},
			}
			if s.ipv6 {
				wantLink.NDP, wantLink.RA = true, true
				wantLink.Advert = config.Advert{Prefix: netPrefix("fd00::/64"), RouterSec: 1800, ValidSec: 86400, PreferredSec: 14400}
			}
			if diff := cmp.Diff(wantLink, c.Link, netipValues); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
			if c.Bypass.Inbound || !c.TCP || !c.UDP || !c.ICMP || c.OurLinkLocal != netAddr("fe80::2") {
				t.Errorf("configuration %+v", c)
			}
		})
	}
}

func TestStations(t *testing.T) {
	table := parse(t, "42", "tap0").stations()
	ours := packet.MAC{0x52, 0x55, 10, 0, 2, 2}
	for addr, want := range map[string]packet.MAC{
		"10.0.2.2": ours, "10.0.2.3": {0x52, 0x55, 10, 0, 2, 3}, "fe80::2": ours, "fd00::2": ours, "fd00::3": ours,
	} {
		if got, ok := table.MAC(packet.AddrFrom(netAddr(addr))); !ok || got != want {
			t.Errorf("%s has MAC %x, %v, want %x", addr, got, ok, want)
		}
	}
	for _, addr := range []string{"10.0.2.1", "10.0.2.50", "10.0.2.100", "fd00::50", "fe80::3"} {
		if got, ok := table.MAC(packet.AddrFrom(netAddr(addr))); ok {
			t.Errorf("%s has MAC %x, want none", addr, got)
		}
	}
}

func TestNamespacePlan(t *testing.T) {
	if diff := cmp.Diff(netcfg.NamespacePlan{IfName: "tap0"}, parse(t, "42", "tap0").plan(), netipValues); diff != "" {
		t.Errorf("without -c (-want +got):\n%s", diff)
	}
	got := parse(t, strings.Fields("-c -m 1400 --macaddress 02:00:00:00:00:01 --cidr 10.1.0.0/16 42 tap9")...).plan()
	want := netcfg.NamespacePlan{
		IfName: "tap9", Configure: true, MTU: 1400, TxQLen: 1000, MAC: &[6]byte{2, 0, 0, 0, 0, 1},
		Addrs: []rtnl.Addr{{Prefix: netPrefix("10.1.0.100/16")}},
		Routes: []rtnl.Route{{
			Dst: netPrefix("0.0.0.0/0"), Table: rtnl.TableMain, Type: rtnl.TypeUnicast, Protocol: rtnl.ProtocolBoot,
			Hops: []rtnl.Hop{{Gateway: netAddr("10.1.0.2")}},
		}},
	}
	if diff := cmp.Diff(want, got, netipValues); diff != "" {
		t.Errorf("with -c (-want +got):\n%s", diff)
	}
}

func TestResolvers(t *testing.T) {
	for _, tt := range []struct {
		servers []netip.Addr
		v4, v6  netip.Addr
	}{
		{nil, netip.Addr{}, netip.Addr{}},
		{netAddrs("192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"), netAddr("192.0.2.1"), netAddr("2001:db8::1")},
		{netAddrs("2001:db8::2"), netip.Addr{}, netAddr("2001:db8::2")},
	} {
		if v4, v6 := resolvers(resolv.Conf{Servers: tt.servers}); v4 != tt.v4 || v6 != tt.v6 {
			t.Errorf("resolvers(%v) = %v, %v, want %v, %v", tt.servers, v4, v6, tt.v4, tt.v6)
		}
	}
}

// upstreamCIDR is the form that upstream accepts before it looks at the numbers.
var upstreamCIDR = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)/([0-9]{1,2})$`)

// FuzzCIDR checks that the form of a network is upstream's, and that every network that
// is accepted has room for the plan.
func FuzzCIDR(f *testing.F) {
	for _, seed := range []string{
		"10.0.2.0/24", "10.0.2.128/25", "128.0.0.0/1", "10.0.2.0/26", "010.0.2.0/24", "24", "::/0", "10.0.2.0/+1",
		"10.0.2/24", "10.0.2.0.0/24", "10..2.0/24", "10.0.2.0/", "10.0.2.0/024", "10.0.2.0/2x", "10.0.2.0/24/8", "300.0.2.0/24\n", "٣.0.2.0/24",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, ok := cutCIDR(text); ok != upstreamCIDR.MatchString(text) {
			t.Errorf("cutCIDR(%q) = %v, upstream has it the other way", text, ok)
		}
		p, err := parseCIDR(text)
		if err != nil {
			return
		}
		if p.Masked() != p || p.Bits() < minPrefixLen || p.Bits() > maxPrefixLen || p.String() != text && !strings.HasSuffix(text, "/0"+p.String()[strings.Index(p.String(), "/")+1:]) {
			t.Errorf("parseCIDR(%q) = %v", text, p)
		}
		for _, offset := range []uint8{gatewayOffset, dnsOffset, poolOffset, poolOffset + poolLen - 1, guestOffset} {
			if a := (network{p}).host(offset); !p.Contains(a) {
				t.Errorf("%v is not in %v", a, p)
			}
		}
	})
}
