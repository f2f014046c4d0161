package vpnkit

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// named is a UUID that ends with n.
func named(n byte) uuid { return uuid{15: n} }

func TestAssign(t *testing.T) {
	type step struct {
		uuid byte // 0: none
		want string
		ip   string
		err  error
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"in order", []step{{1, "", "192.168.65.3", nil}, {2, "", "192.168.65.4", nil}}},
		{"again", []step{{1, "", "192.168.65.3", nil}, {2, "", "192.168.65.4", nil}, {1, "", "192.168.65.3", nil}}},
		{"without UUID, each time another", []step{{0, "", "192.168.65.3", nil}, {0, "", "192.168.65.4", nil}}},
		{"preferred", []step{
			{1, "192.168.65.4", "192.168.65.4", nil},
			{2, "", "192.168.65.3", nil},
			{3, "", "192.168.65.5", nil},
			{1, "", "192.168.65.4", nil},
			{1, "192.168.65.4", "192.168.65.4", nil},
		}},
		{"preferred by another", []step{
			{1, "", "192.168.65.3", nil},
			{2, "192.168.65.3", "", refusal("Preferred IP address 192.168.65.3 already used.")},
			{2, "", "192.168.65.4", nil},
		}},
		{"preferred later", []step{{1, "", "192.168.65.3", nil}, {1, "192.168.65.9", "", errOther}}},
		{"too low", []step{{1, "192.168.65.2", "", errOutOfRange}}},
		{"too high", []step{{1, "192.168.65.255", "", errOutOfRange}}},
		{"far away", []step{{1, "10.0.0.1", "", errOutOfRange}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuests(&newSettings().network)
			for i, s := range tt.steps {
				c := command{uuid: named(s.uuid)}
				if s.want != "" {
					c.want = addr(s.want)
				}
				got, err := g.assign(c)
				if !errors.Is(err, s.err) || err == nil && got.ip != addr(s.ip) {
					t.Errorf("step %d: %v, %v, want %v, %v", i, got.ip, err, s.ip, s.err)
				}
			}
		})
	}
}

func TestNoAddressLeft(t *testing.T) {
	n := newSettings().network
	n.lowest, n.highest = addr("192.168.65.1"), addr("192.168.65.4") // the first two are ours
	g := newGuests(&n)
	for i, want := range []error{nil, nil, errNoAddress, errNoAddress} {
		got, err := g.assign(command{uuid: named(byte(i + 1))})
		if !errors.Is(err, want) {
			t.Errorf("guest %d: %v, %v, want %v", i, got.ip, err, want)
		}
	}
	if _, err := g.assign(command{uuid: named(9), want: addr("192.168.65.2")}); err == nil {
		t.Error("the host's address is given away")
	}
	if got, err := g.assign(command{uuid: named(1)}); err != nil || got.ip != addr("192.168.65.3") {
		t.Errorf("guest that is known: %v, %v", got.ip, err)
	}
}

func TestLastAddressOfAll(t *testing.T) {
	n := newSettings().network
	n.lowest, n.highest = addr("255.255.255.254"), addr("255.255.255.255")
	g := newGuests(&n)
	for i, want := range []error{nil, nil, errNoAddress} {
		if _, err := g.assign(command{uuid: named(byte(i + 1))}); !errors.Is(err, want) {
			t.Errorf("guest %d: %v, want %v", i, err, want)
		}
	}
}

func TestMACs(t *testing.T) {
	n := newSettings().network
	n.serverMAC = packet.MAC{0x02, 0x50, 0, 0, 0, 2}
	g := newGuests(&n)
	seen := map[packet.MAC]bool{n.serverMAC: true}
	for i := range byte(3) {
		got, err := g.assign(command{uuid: named(i + 1)})
		if err != nil || seen[got.mac] || !got.mac.IsUnicast() || got.mac[0]&2 == 0 {
			t.Errorf("guest %d: MAC %x, %v", i, got.mac, err)
		}
		seen[got.mac] = true
		if mac, ok := g.MAC(packet.AddrFrom(got.ip)); !ok || mac != got.mac {
			t.Errorf("guest %d: MAC %x, %v by address", i, mac, ok)
		}
	}
	for _, tt := range []struct {
		ip string
		ok bool
	}{{"192.168.65.1", true}, {"192.168.65.2", true}, {"192.168.65.99", false}} {
		if mac, ok := g.MAC(packet.AddrFrom(addr(tt.ip))); ok != tt.ok || ok && mac != n.serverMAC {
			t.Errorf("MAC of %s: %x, %v, want the server's: %v", tt.ip, mac, ok, tt.ok)
		}
	}
}

// TestWithoutHost: with --host-ip 0.0.0.0 nobody has the host's address.
func TestWithoutHost(t *testing.T) {
	n := newSettings().network
	n.host = netip.Addr{}
	if mac, ok := newGuests(&n).MAC(packet.AddrFrom(addr("192.168.65.2"))); ok {
		t.Errorf("192.168.65.2 has MAC %x", mac)
	}
	c := n.config(guest{ip: addr("192.168.65.3")}, addr("10.0.0.53"))
	if c.V4.MapHostLoopback.IsValid() || len(c.V4.Own) != 1 {
		t.Errorf("host's loopback at %v, own addresses %v", c.V4.MapHostLoopback, c.V4.Own)
	}
}

func TestPrefixLen(t *testing.T) {
	for _, tt := range []struct {
		gateway, lowest, highest string
		want                     int
	}{
		{"192.168.65.1", "192.168.65.3", "192.168.65.254", 24},
		{"10.0.0.1", "10.0.0.2", "10.0.0.6", 29},
		{"10.0.0.1", "10.1.0.0", "10.1.255.254", 15},
		{"10.0.0.9", "10.0.0.1", "10.0.0.9", 28},
	} {
		n := network{gateway: addr(tt.gateway), lowest: addr(tt.lowest), highest: addr(tt.highest)}
		if got := n.prefixLen(); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
