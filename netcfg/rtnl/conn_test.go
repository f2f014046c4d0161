package rtnl

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// open opens a Conn for the rest of the test.
func open(t *testing.T) *Conn {
	t.Helper()
	c, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// veth makes a pair of interfaces of which va is up.
const veth = `link add va address 02:00:00:00:00:0a type veth peer name vb
link set lo up
link set vb up
link set va up
`

// openVeth is open where there is the interface va.
func openVeth(t *testing.T) (*Conn, Link) {
	t.Helper()
	c := open(t)
	link, err := c.Link("va")
	if err != nil {
		t.Fatal(err)
	}
	return c, link
}

func TestKernelKeepsRoutesAsAdded(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, veth+"addr add 10.0.0.2/24 dev va\naddr add fd00::2/64 dev va nodad\n")
		c, link := openVeth(t)
		for _, name := range []string{"metrics", "multipath", "on-link", "blackhole", "IPv4 over IPv6"} {
			want := onInterface(routeCases()[name], link.Index)
			if err := c.AddRoute(want); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			routes, err := c.Routes(want.Family())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(routes, func(r Route) bool { return cmp.Equal(r, want, cmpNetip) }) {
				t.Errorf("%s: not in the table as it was added: %+v\n%+v", name, want, routes)
			}
			netnstest.IP(t, "route flush "+flushArgs(want)+"\n")
		}
	})
}

// onInterface moves a route to one interface and to values that the kernel
// accepts and reports.
func onInterface(r Route, index int) Route {
	r.Scope, r.Protocol = ScopeGlobal, ProtocolBoot
	r.Hops = slices.Clone(r.Hops)
	for i := range r.Hops {
		r.Hops[i].Index = index
		if len(r.Hops) > 1 {
			r.Hops[i].Flags |= HopOnLink
		}
	}
	return r
}

// flushArgs selects a route for "ip route flush".
func flushArgs(r Route) string { return "exact " + r.Dst.String() + " proto boot" }

func TestKernelKeepsIPv6RoutesAsAdded(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, veth+"addr add fd00::2/64 dev va nodad\n")
		c, link := openVeth(t)
		hop := func(gw string) Hop { return Hop{Index: link.Index, Gateway: netip.MustParseAddr(gw)} }
		medium := []Attr{{Type: unix.RTA_PREF, Data: []byte{0}}}
		multi := Route{
			Dst: netip.MustParsePrefix("::/0"), Table: TableMain, Type: TypeUnicast, Protocol: ProtocolBoot,
			Priority: 100, Hops: []Hop{hop("fd00::1"), hop("fd00::3")}, Extra: medium,
		}
		multi.Hops[0].Weight, multi.Hops[1].Weight = 2, 5
		source := routeCases()["source and preference"]
		source.Protocol, source.Priority, source.Hops = ProtocolBoot, 1024, []Hop{hop("fe80::1")}
		for _, want := range []Route{multi, source} {
			if err := c.AddRoute(want); err != nil {
				t.Fatal(err)
			}
			routes, err := c.Routes(IPv6)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(routes, func(r Route) bool { return cmp.Equal(r, want, cmpNetip) }) {
				t.Errorf("not in the table as it was added: %+v\n%+v", want, routes)
			}
		}
	})
}

func TestKernelKeepsAddressesAsAdded(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, veth)
		c, link := openVeth(t)
		for name, want := range addrCases() {
			want.Index = link.Index
			want.Flags |= AddrNoDAD | AddrPermanent
			if want.Prefix.Addr().Is4() {
				want.Flags = AddrPermanent
			}
			if err := c.AddAddr(want); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			addrs, err := c.Addrs(FamilyOf(want.Prefix.Addr()))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(addrs, want) {
				t.Errorf("%s: got %+v, want %+v in it", name, addrs, want)
			}
		}
		err := c.AddAddr(Addr{Index: link.Index, Prefix: netip.MustParsePrefix("10.0.0.2/24")})
		if !errors.Is(err, syscall.EEXIST) {
			t.Errorf("add address twice: got %v, want EEXIST", err)
		}
		gone := Addr{Index: link.Index, Prefix: netip.MustParsePrefix("10.0.0.2/24")}
		if err := c.DelAddr(gone); err != nil {
			t.Error(err)
		}
		if err := c.DelAddr(gone); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("remove address twice: got %v, want EADDRNOTAVAIL", err)
		}
	})
}

func TestSetLinkChangesAllAtOnce(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, "link add va type veth peer name vb\n")
		c, link := openVeth(t)
		ch := LinkChange{Up: LinkUp | LinkNoARP, MTU: 9000, TxQLen: 321, MAC: &[6]byte{2, 0, 0, 0, 0, 9}}
		if err := c.SetLink(link.Index, ch); err != nil {
			t.Fatal(err)
		}
		got, err := c.Link("va")
		if err != nil {
			t.Fatal(err)
		}
		want := Link{
			Index: link.Index, Name: "va", MTU: 9000, TxQLen: 321, MAC: "02:00:00:00:00:09", IPv6: IPv6On,
			Flags: link.Flags | LinkUp | LinkNoARP,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("link (-want +got):\n%s", diff)
		}
		links, err := c.Links()
		if err != nil || len(links) != 3 || links[0].Name != "lo" {
			t.Errorf("links: got %+v, %v, want lo, vb and va", links, err)
		}
	})
}

func TestErrorsCarryTheKernelsMessage(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, veth)
		c, link := openVeth(t)
		route := onInterface(routeCases()["metrics"], link.Index)
		route.Dst = netip.MustParsePrefix("0.0.0.0/0")
		tests := []struct {
			name  string
			err   error
			errno syscall.Errno
			text  string
		}{
			{"unreachable gateway", c.AddRoute(route), syscall.ENETUNREACH, "add route default (IPv4) via 10.0.0.1 on interface"},
			{"extended message", c.AddRoute(route), syscall.ENETUNREACH, "Nexthop has invalid gateway"},
			{"no such index", c.SetLink(99, LinkChange{MTU: 1500}), syscall.ENODEV, "set interface 99"},
			{"MTU too large", c.SetLink(link.Index, LinkChange{MTU: 1 << 20}), syscall.EINVAL, "mtu greater than device maximum"},
		}
		for _, tt := range tests {
			var op *OpError
			if !errors.As(tt.err, &op) || !errors.Is(tt.err, tt.errno) || !strings.Contains(tt.err.Error(), tt.text) {
				t.Errorf("%s: got %v, want OpError with %v and %q", tt.name, tt.err, tt.errno, tt.text)
			}
		}
		if _, err := c.Link("none"); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("find interface: got %v, want ENODEV", err)
		}
	})
}

func TestLinkTellsWhetherIPv6IsOff(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, veth)
		c := open(t)
		for value, want := range map[string]IPv6State{"1": IPv6Off, "0": IPv6On} {
			writeSysctl(t, "net/ipv6/conf/va/disable_ipv6", value)
			if got, err := c.Link("va"); err != nil || got.IPv6 != want {
				t.Errorf("disable_ipv6=%s: got %q, %v, want %q", value, got.IPv6, err, want)
			}
		}
		netnstest.IP(t, "link set va mtu 1000\n")
		if got, err := c.Link("va"); err != nil || got.IPv6 != IPv6Absent {
			t.Errorf("mtu 1000: got %q, %v, want IPv6 absent", got.IPv6, err)
		}
	})
}

// writeSysctl sets a sysctl of the network namespace, given by its path below
// /proc/sys.
func writeSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestClosedConnFails(t *testing.T) {
	c := open(t)
	c.Close()
	var op *OpError
	if _, err := c.Links(); !errors.As(err, &op) {
		t.Errorf("list interfaces after Close: got %v, want OpError", err)
	}
}

// A Conn belongs to the namespace of the thread that opened it, even if that is
// not the one of the process.
func TestOpenUsesTheNamespaceOfTheThread(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, veth)
		conns := make(chan *Conn)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with its namespace
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Errorf("unshare: %v", err)
			}
			c, err := Open()
			if err != nil {
				t.Errorf("open: %v", err)
			}
			conns <- c
		}()
		c := <-conns
		defer c.Close()
		links, err := c.Links()
		if err != nil || len(links) != 1 {
			t.Errorf("links of the new namespace: got %+v, %v, want lo alone", links, err)
		}
	})
}
