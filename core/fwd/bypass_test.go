package fwd

import (
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

// TestPath follows the tables of who reaches what: only clients on a loopback
// interface are ever bypassed, unless a rule names a loopback address as target.
func TestPath(t *testing.T) {
	usual, same, only := Bypass{Inbound: true}, Bypass{Inbound: true, SameLoopback: true}, Bypass{Inbound: true, Only: true}
	all := Bypass{All: true}
	tests := []struct {
		name                  string
		bypass                Bypass
		pif                   Pif
		client, local, target string
		path                  Path
		dst                   string
	}{
		{"host loopback", usual, Host, "127.0.0.1", "127.0.0.1", "", PathSplice, "10.66.0.2"},
		{"another loopback address", usual, Host, "127.0.0.9", "127.0.0.5", "", PathSplice, "10.66.0.2"},
		{"host loopback, IPv6", usual, Host, "::1", "::1", "", PathSplice, "fd66::2"},
		{"loopback client of a public address", usual, Host, "127.0.0.1", "10.66.0.2", "", PathSplice, "10.66.0.2"},
		{"remote client", usual, Host, "192.0.2.1", "10.66.0.2", "", PathTap, ""},
		{"host's own address", usual, Host, "10.66.0.2", "10.66.0.2", "", PathTap, ""},
		{"remote client of a loopback address", usual, Host, "192.0.2.1", "127.0.0.1", "", PathTap, ""},
		{"no splice", Bypass{}, Host, "127.0.0.1", "127.0.0.1", "", PathTap, ""},

		{"same loopback", same, Host, "127.0.0.1", "127.0.0.5", "", PathSplice, "127.0.0.5"},
		{"same loopback, IPv6", same, Host, "::1", "::1", "", PathSplice, "::1"},
		{"same loopback, public address", same, Host, "127.0.0.1", "10.66.0.2", "", PathSplice, "10.66.0.2"},
		{"same loopback, remote client", same, Host, "192.0.2.1", "10.66.0.2", "", PathTap, ""},
		{"same loopback, remote client of a loopback address", same, Host, "192.0.2.1", "127.0.0.1", "", PathTap, ""},

		{"splice only", only, Host, "127.0.0.1", "127.0.0.1", "", PathSplice, "127.0.0.1"},
		{"splice only, public address", only, Host, "127.0.0.1", "10.66.0.2", "", PathRefused, ""},
		{"splice only, remote client", only, Host, "192.0.2.1", "10.66.0.2", "", PathRefused, ""},
		{"splice only, target", only, Host, "127.0.0.1", "127.0.0.1", "10.9.9.9", PathRefused, ""},

		{"target", usual, Host, "127.0.0.1", "127.0.0.1", "10.9.9.9", PathTap, ""},
		{"loopback target", usual, Host, "127.0.0.1", "127.0.0.1", "127.0.0.7", PathSplice, "127.0.0.7"},
		{"loopback target, remote client", usual, Host, "192.0.2.1", "10.66.0.2", "::1", PathSplice, "::1"},
		{"loopback target, no splice", Bypass{}, Host, "127.0.0.1", "127.0.0.1", "127.0.0.1", PathRefused, ""},

		{"all", all, Host, "192.0.2.1", "10.66.0.2", "10.9.9.9", PathSplice, "10.9.9.9"},
		{"all, of another family", all, Host, "2001:db8::1", "fd66::2", "127.0.0.1", PathSplice, "127.0.0.1"},
		{"all, without target", all, Host, "127.0.0.1", "127.0.0.1", "", PathRefused, ""},

		{"from the namespace", usual, Splice, "127.0.0.1", "127.0.0.1", "", PathSplice, "127.0.0.1"},
		{"from the namespace, another address", Bypass{}, Splice, "127.0.0.1", "127.0.0.9", "", PathSplice, "127.0.0.9"},
		{"from the namespace, IPv6", usual, Splice, "::1", "::1", "", PathSplice, "::1"},
		{"from the namespace, target", usual, Splice, "127.0.0.1", "127.0.0.1", "192.0.2.9", PathSplice, "192.0.2.9"},
		{"guest to itself", usual, Splice, "10.66.0.2", "10.66.0.2", "", PathRefused, ""},
		{"loopback client, guest's address", usual, Splice, "127.0.0.1", "10.66.0.2", "", PathRefused, ""},
		{"strange client, loopback address", usual, Splice, "192.0.2.1", "127.0.0.1", "", PathRefused, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Map{V4: FamilyMap{Guest: addr("10.66.0.2")}, V6: FamilyMap{Guest: addr("fd66::2")}, Bypass: tt.bypass}
			path, dst := m.Path(tt.pif, addr(tt.client), addr(tt.local), addr(tt.target))
			if path != tt.path || dst != addr(tt.dst) {
				t.Errorf("path %d to %v, want %d to %q", path, dst.Netip(), tt.path, tt.dst)
			}
		})
	}
}

// TestPathOfGuestWithoutAddress: without an address that a socket can connect to
// there is only the tap.
func TestPathOfGuestWithoutAddress(t *testing.T) {
	m := Map{Bypass: Bypass{Inbound: true}}
	lo := addr("::1")
	if path, _ := m.Path(Host, lo, lo, packet.Addr{}); path != PathTap {
		t.Errorf("no address: path %d, want the tap", path)
	}
	m.Observe(addr("fe80::2"))
	if path, _ := m.Path(Host, lo, lo, packet.Addr{}); path != PathTap {
		t.Errorf("link-local address: path %d, want the tap", path)
	}
	m.Observe(addr("fd66::3"))
	if path, dst := m.Path(Host, lo, lo, packet.Addr{}); path != PathSplice || dst != addr("fd66::3") {
		t.Errorf("path %d to %v, want the bypass to the observed address", path, dst.Netip())
	}
}

func TestShown(t *testing.T) {
	tests := []struct {
		name              string
		show              bool
		client, dst, want string
	}{
		{"remote client", true, "192.0.2.1", "127.0.0.1", "192.0.2.1"},
		{"remote client, IPv6", true, "2001:db8::1", "::1", "2001:db8::1"},
		{"not wanted", false, "192.0.2.1", "127.0.0.1", ""},
		{"loopback client", true, "127.0.0.9", "127.0.0.1", ""},
		{"target of another family", true, "2001:db8::1", "127.0.0.1", ""},
		{"target that would answer elsewhere", true, "192.0.2.1", "10.9.9.9", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Map{Bypass: Bypass{All: true, ShowClients: tt.show}}
			if got := m.Shown(addr(tt.client), addr(tt.dst)); got != addr(tt.want) {
				t.Errorf("shown: %v, want %q", got.Netip(), tt.want)
			}
		})
	}
}
