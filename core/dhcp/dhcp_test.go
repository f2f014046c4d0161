package dhcp

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// testConfig serves addresses and nothing more.
func testConfig() *config.Config { return coretest.LinkConfig(config.Link{DHCP: true, DHCPv6: true}) }

// fullConfig has everything that can be sent; the gateway is off the subnet.
func fullConfig() *config.Config {
	addr := netip.MustParseAddr
	c := testConfig()
	c.V4.Gateway, c.V4.Our = addr("10.99.0.1"), addr("10.99.0.1")
	c.V4.DNS = []netip.Addr{addr("10.66.0.53"), addr("10.66.0.54")}
	c.V6.DNS = []netip.Addr{addr("fd66::53"), addr("fd66::54")}
	c.Link.SendDNS, c.Link.SendSearch = true, true
	c.Link.Search = []string{"corp.example.org", "example.org", "lan"}
	c.Link.Hostname, c.Link.FQDN = "guest1", "guest1.example.org"
	return c
}

// fixture is a server on an in-memory tap.
type fixture struct {
	*Server
	dev  *coretest.MemTap
	link *tap.Link
	logs bytes.Buffer
}

func newFixture(t testing.TB, cfg *config.Config) *fixture {
	t.Helper()
	f := &fixture{}
	f.link, f.dev = coretest.NewLink(t, tap.Features{})
	f.Server = New(cfg, f.link, slog.New(slog.NewTextHandler(&f.logs, nil)))
	return f
}

// receive passes a datagram from the guest through link and server.
func (f *fixture) receive(t testing.TB, src, dst string, payload []byte) (handled bool) {
	t.Helper()
	return f.FromTap(coretest.PassUDP(t, f.link, f.dev, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst), payload))
}

// ask4 and ask6 send a client's message as clients do.
func (f *fixture) ask4(t testing.TB, msg []byte) bool {
	t.Helper()
	return f.receive(t, "0.0.0.0:68", "255.255.255.255:67", msg)
}

func (f *fixture) ask6(t testing.TB, msg []byte) bool {
	t.Helper()
	return f.receive(t, "[fe80::2]:546", "[ff02::1:2]:547", msg)
}

func wantBytes(t testing.TB, what string, got []byte, want string) {
	t.Helper()
	if w := coretest.Unhex(t, want); !bytes.Equal(got, w) {
		t.Errorf("%s:\ngot  % x\nwant % x", what, got, w)
	}
}

func TestFromTapSelects(t *testing.T) {
	off := func(c *config.Config) { c.Link.DHCP, c.Link.DHCPv6 = false, false }
	unassigned := func(c *config.Config) { c.V4.Guest, c.V6.Guest = netip.Addr{}, netip.Addr{} }
	for _, tt := range []struct {
		name, src, dst string
		change         func(*config.Config)
		handled        bool
		drop           packet.Drop
	}{
		{"DNS", "10.66.0.2:68", "10.66.0.1:53", nil, false, packet.DropNone},
		{"DHCPv6 port over IPv4", "10.66.0.2:546", "10.66.0.1:547", nil, false, packet.DropNone},
		{"DHCP port over IPv6", "[fe80::2]:68", "[ff02::1]:67", nil, false, packet.DropNone},
		{"reply to a client", "10.66.0.2:67", "10.66.0.1:68", nil, false, packet.DropNone},
		{"DHCP, off", "0.0.0.0:68", "255.255.255.255:67", off, true, packet.DropDisabled},
		{"DHCPv6, off", "[fe80::2]:546", "[ff02::1:2]:547", off, true, packet.DropDisabled},
		{"DHCP, nothing to assign", "0.0.0.0:68", "255.255.255.255:67", unassigned, true, packet.DropDisabled},
		{"DHCPv6, nothing to assign", "[fe80::2]:546", "[ff02::1:2]:547", unassigned, true, packet.DropDisabled},
		{"DHCP, garbage", "0.0.0.0:68", "255.255.255.255:67", nil, true, packet.DropTransport},
		{"DHCPv6, garbage", "[fe80::2]:546", "[ff02::1:2]:547", nil, true, packet.DropTransport},
		{"DHCPv6, unicast", "[fe80::2]:546", "[fe80::1]:547", nil, true, packet.DropAddress},
		{"DHCPv6, not from a link-local address", "[fd66::2]:546", "[ff02::1:2]:547", nil, true, packet.DropAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			if tt.change != nil {
				tt.change(cfg)
			}
			f := newFixture(t, cfg)
			if got := f.receive(t, tt.src, tt.dst, []byte("x")); got != tt.handled {
				t.Errorf("handled %v, want %v", got, tt.handled)
			}
			if f.dev.Sent() != 0 || tt.drop != 0 && f.link.Stats.Drops[tt.drop] != 1 {
				t.Errorf("%d frames sent, drops %v, want none and one %v", f.dev.Sent(), f.link.Stats.Drops, tt.drop)
			}
		})
	}
}
