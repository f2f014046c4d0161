package neigh

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

const (
	rs          = packet.ICMPv6RouterSolicit
	ns          = packet.ICMPv6NeighborSolicit
	targetGuest = "00000000 fd660000000000000000000000000002"
	targetWorld = "00000000 20010db8000000000000000000000001"
)

func TestNeighborSolicitation(t *testing.T) {
	guest := netip.MustParseAddr("fd66::2")
	for _, tt := range []struct {
		name string
		src  netip.Addr
		msg  string
		want string // advertisement behind the checksum; empty: none
	}{
		{"any address", guestLL, targetWorld, "e0000000 20010db8000000000000000000000001 0201 020000000001"},
		{"the guest's own", guestLL, targetGuest, "e0000000 fd660000000000000000000000000002 0201 020000000001"},
		{
			"from the global address, with option", guest, targetWorld + "0101 020000000002",
			"e0000000 20010db8000000000000000000000001 0201 020000000001",
		},
		{"duplicate address detection", netip.IPv6Unspecified(), targetGuest, ""},
		{"duplicate address detection of another", netip.IPv6Unspecified(), targetWorld, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, testConfig())
			if !f.receive(t, ndFrame(t, tt.src, ns, tt.msg), 0) {
				t.Error("not handled")
			}
			if tt.want == "" {
				if n := f.dev.Sent(); n != 0 {
					t.Errorf("%d frames sent, want none", n)
				}
				return
			}
			got := f.dev.One(t)
			if got.Src.Netip().String() != "fe80::1" || got.Dst.Netip() != tt.src || got.TTL != 255 {
				t.Errorf("sent from %v to %v with hop limit %d", got.Src.Netip(), got.Dst.Netip(), got.TTL)
			}
			if got.EthDst != coretest.GuestMAC {
				t.Errorf("sent to MAC %x", got.EthDst)
			}
			wantBytes(t, got.L4[:2], "8800")
			wantBytes(t, got.L4[4:], tt.want)
		})
	}
}

func TestNDPThatIsDropped(t *testing.T) {
	routed := coretest.SetTTL(ndFrame(t, guestLL, ns, targetWorld), 254)
	for _, tt := range []struct {
		name   string
		frame  []byte
		change func(*config.Config)
		want   packet.Drop
	}{
		{"family off", ndFrame(t, guestLL, ns, targetWorld), func(c *config.Config) { c.V6.Enabled = false }, packet.DropDisabled},
		{"NDP off", ndFrame(t, guestLL, rs, "00000000"), func(c *config.Config) { c.Link.NDP = false }, packet.DropDisabled},
		{"routed", routed, nil, packet.DropTransport},
		{"cut", ndFrame(t, guestLL, ns, "00000000 fe80"), nil, packet.DropTransport},
		{"multicast target", ndFrame(t, guestLL, ns, "00000000 ff020000000000000000000000000001"), nil, packet.DropTransport},
		{"empty option", ndFrame(t, guestLL, ns, targetWorld+"0100 020000000002"), nil, packet.DropTransport},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			if tt.change != nil {
				tt.change(cfg)
			}
			f := newFixture(t, cfg)
			if !f.receive(t, tt.frame, 0) {
				t.Error("not handled")
			}
			if f.dev.Sent() != 0 || f.link.Stats.Drops[tt.want] != 1 {
				t.Errorf("%d frames, drops %v, want none and one %v", f.dev.Sent(), f.link.Stats.Drops, tt.want)
			}
		})
	}
}

func TestNDPThatIsConsumed(t *testing.T) {
	for typ, msg := range map[uint8]string{
		packet.ICMPv6NeighborAdvert: "60000000 fd660000000000000000000000000002",
		packet.ICMPv6RouterAdvert:   "40000708 00000000 00000000",
		packet.ICMPv6Redirect:       targetGuest + "20010db8000000000000000000000001",
	} {
		f := newFixture(t, testConfig())
		if !f.receive(t, ndFrame(t, guestLL, typ, msg), 0) || f.dev.Sent() != 0 {
			t.Errorf("type %d: not handled, or %d frames sent", typ, f.dev.Sent())
		}
		if d := f.link.Stats.Drops; d != ([packet.NumDrops]uint64{}) {
			t.Errorf("type %d: drops %v, want none", typ, d)
		}
	}
}
