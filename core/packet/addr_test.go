package packet

import (
	"net/netip"
	"testing"
)

// addrClass is what the predicates of Addr say.
type addrClass struct {
	is4, zero, unspecified, loopback, multicast, linkLocal, broadcast bool
}

func TestAddrClasses(t *testing.T) {
	tests := []struct {
		name, addr string
		want       addrClass
	}{
		{"host", "10.0.0.1", addrClass{is4: true}},
		{"any", "0.0.0.0", addrClass{is4: true, unspecified: true}},
		{"loopback", "127.0.0.1", addrClass{is4: true, loopback: true}},
		{"end of loopback", "127.255.255.255", addrClass{is4: true, loopback: true}},
		{"behind loopback", "128.0.0.1", addrClass{is4: true}},
		{"first group", "224.0.0.0", addrClass{is4: true, multicast: true}},
		{"last group", "239.255.255.255", addrClass{is4: true, multicast: true}},
		{"behind groups", "240.0.0.0", addrClass{is4: true}},
		{"link-local", "169.254.1.2", addrClass{is4: true, linkLocal: true}},
		{"behind link-local", "169.255.0.0", addrClass{is4: true}},
		{"broadcast", "255.255.255.255", addrClass{is4: true, broadcast: true}},
		{"IPv6 host", "2001:db8::1", addrClass{}},
		{"IPv6 any", "::", addrClass{zero: true, unspecified: true}},
		{"IPv6 loopback", "::1", addrClass{loopback: true}},
		{"behind IPv6 loopback", "::2", addrClass{}},
		{"IPv6 group", "ff02::1", addrClass{multicast: true}},
		{"IPv6 link-local", "fe80::1", addrClass{linkLocal: true}},
		{"end of IPv6 link-local", "febf::1", addrClass{linkLocal: true}},
		{"site-local", "fec0::1", addrClass{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := AddrFrom(netip.MustParseAddr(tt.addr))
			got := addrClass{
				a.Is4(), a.IsZero(), a.IsUnspecified(), a.IsLoopback(), a.IsMulticast(), a.IsLinkLocal(), a.IsBroadcast(),
			}
			if got != tt.want {
				t.Errorf("%s: got %+v, want %+v", tt.addr, got, tt.want)
			}
		})
	}
}

func TestAddrConversions(t *testing.T) {
	for _, text := range []string{"10.1.2.3", "0.0.0.0", "fd00::2", "::"} {
		ip := netip.MustParseAddr(text)
		a := AddrFrom(ip)
		if got := a.Netip(); got != ip {
			t.Errorf("AddrFrom(%v).Netip() = %v", ip, got)
		}
		if got, want := string(a.Wire()), string(ip.AsSlice()); got != want {
			t.Errorf("AddrFrom(%v).Wire() = % x, want % x", ip, got, want)
		}
		if ip.Is4() && (a.As4() != ip.As4() || AddrFrom4(ip.As4()) != a) {
			t.Errorf("As4 of %v = %v", ip, a.As4())
		}
	}
	if got := AddrFrom(netip.Addr{}); !got.IsZero() {
		t.Errorf("AddrFrom(invalid) = %v, want zero", got)
	}
	if got, want := AddrFrom(netip.MustParseAddr("fe80::1%eth0")), AddrFrom(netip.MustParseAddr("fe80::1")); got != want {
		t.Errorf("AddrFrom with a zone = %v, want %v", got, want)
	}
}

func TestMACIsUnicast(t *testing.T) {
	tests := []struct {
		name string
		mac  MAC
		want bool
	}{
		{"station", MAC{2, 0, 0, 0, 0, 1}, true},
		{"zero", MAC{}, false},
		{"broadcast", Broadcast, false},
		{"group", MAC{1, 0, 0x5e, 0, 0, 1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.mac.IsUnicast(); got != tt.want {
				t.Errorf("IsUnicast(%x) = %v, want %v", tt.mac, got, tt.want)
			}
		})
	}
}
