package udp

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

func TestForged(t *testing.T) {
	const outside = loopbackIndex + 1
	for _, tt := range []struct {
		name     string
		src, dst string
		ifIndex  uint32
		want     bool
	}{
		{"loopback", "127.0.0.1", "127.0.0.1", loopbackIndex, false},
		{"loopback, IPv6", "::1", "::1", loopbackIndex, false},
		{"loopback from outside", "127.0.0.1", "10.66.0.2", outside, true},
		{"loopback from outside to itself", "127.0.0.9", "127.0.0.1", outside, true},
		{"loopback from outside, IPv6", "::1", "fd66::2", outside, true},
		{"loopback from nobody knows where", "127.0.0.1", "", 0, true},
		{"host's own address", "10.66.0.2", "10.66.0.2", outside, false},
		{"neighbour", "10.66.0.1", "10.66.0.2", outside, false},
		{"neighbour, IPv6", "fe80::1", "fe80::2", outside, false},
		{"neighbour, to an unknown address", "10.66.0.1", "", outside, false},
		{"unspecified", "0.0.0.0", "10.66.0.2", outside, true},
		{"unspecified, IPv6", "::", "fd66::2", outside, true},
		{"multicast", "ff02::1", "fd66::2", outside, true},
		{"broadcast", "255.255.255.255", "10.66.0.2", outside, true},
		{"IPv4 address in IPv6", "10.66.0.2", "fd66::2", outside, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := sys.Control{IfIndex: tt.ifIndex}
			if tt.dst != "" {
				c.Dst = packet.AddrFrom(netip.MustParseAddr(tt.dst))
			}
			if got := forged(packet.AddrFrom(netip.MustParseAddr(tt.src)), &c); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
