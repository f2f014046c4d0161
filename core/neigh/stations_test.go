package neigh

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// few are stations by their address.
type few map[netip.Addr]packet.MAC

func (s few) MAC(a packet.Addr) (packet.MAC, bool) {
	mac, ok := s[a.Netip()]
	return mac, ok
}

// TestStations: only who is on the link is answered for, each with its own MAC.
func TestStations(t *testing.T) {
	other := packet.MAC{2, 0, 0, 0, 0, 9}
	stations := few{
		netip.MustParseAddr("10.66.0.1"): coretest.OurMAC, netip.MustParseAddr("10.66.0.9"): other,
		netip.MustParseAddr("fe80::9"): other,
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  string // end of the answer; "" for none
	}{
		{"ARP, ours", arpFrame(t, arpForGateway), "020000000001 0a420001 020000000002 0a420002"},
		{
			"ARP, another station", arpFrame(t, "0001 0800 06 04 0001 020000000002 0a420002 000000000000 0a420009"),
			"020000000009 0a420009 020000000002 0a420002",
		},
		{"ARP, nobody", arpFrame(t, "0001 0800 06 04 0001 020000000002 0a420002 000000000000 0a420008"), ""},
		{
			"NDP, another station", ndFrame(t, guestLL, packet.ICMPv6NeighborSolicit, "00000000 fe800000000000000000000000000009"),
			"fe800000000000000000000000000009 0201 020000000009",
		},
		{"NDP, nobody", ndFrame(t, guestLL, packet.ICMPv6NeighborSolicit, "00000000 fe800000000000000000000000000008"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, testConfig())
			f.stations = stations
			if !f.receive(t, tt.frame, 0) {
				t.Error("not handled")
			}
			if tt.want == "" {
				if n := f.dev.Sent(); n != 0 {
					t.Errorf("%d frames sent, want none", n)
				}
				return
			}
			got, want := f.dev.One(t).L3, coretest.Unhex(t, tt.want)
			if got[0]>>4 != 6 {
				got = got[:packet.ARPLen]
			}
			wantBytes(t, got[len(got)-len(want):], tt.want)
		})
	}
}
