package neigh

import (
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

const arpForGateway = "0001 0800 06 04 0001 020000000002 0a420002 000000000000 0a420001"

func TestARP(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{
			"request for the gateway", arpForGateway,
			"0001 0800 06 04 0002 020000000001 0a420001 020000000002 0a420002",
		},
		{
			"request for any address", "0001 0800 06 04 0001 020000000002 0a420002 000000000000 08080808",
			"0001 0800 06 04 0002 020000000001 08080808 020000000002 0a420002",
		},
		{
			"probe for another address", "0001 0800 06 04 0001 020000000002 00000000 000000000000 0a420003",
			"0001 0800 06 04 0002 020000000001 0a420003 020000000002 00000000",
		},
		{"request for the guest's address", "0001 0800 06 04 0001 020000000002 0a420009 000000000000 0a420002", ""},
		{"probe for the guest's address", "0001 0800 06 04 0001 020000000002 00000000 000000000000 0a420002", ""},
		{"announcement", "0001 0800 06 04 0001 020000000002 0a420009 000000000000 0a420009", ""},
		{"reply", "0001 0800 06 04 0002 020000000002 0a420002 020000000001 0a420001", ""},
		{"unknown operation", "0001 0800 06 04 0003 020000000002 0a420002 000000000000 0a420001", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, testConfig())
			if !f.receive(t, arpFrame(t, tt.in), 0) {
				t.Error("not handled")
			}
			if tt.want == "" {
				if n := f.dev.Sent(); n != 0 {
					t.Errorf("%d frames sent, want none", n)
				}
				return
			}
			got := f.dev.One(t)
			if got.EthDst != coretest.GuestMAC || got.EthSrc != coretest.OurMAC {
				t.Errorf("frame from %x to %x", got.EthSrc, got.EthDst)
			}
			wantBytes(t, got.L3[:packet.ARPLen], tt.want)
		})
	}
}

func TestARPThatIsDropped(t *testing.T) {
	off := func(c *config.Config) { c.V4.Enabled = false }
	for _, tt := range []struct {
		name, in string
		change   func(*config.Config)
		want     packet.Drop
	}{
		{"family off", arpForGateway, off, packet.DropDisabled},
		{"empty", "", nil, packet.DropTransport},
		{"cut", arpForGateway[:len(arpForGateway)-2], nil, packet.DropTransport},
		{"IEEE 802 hardware", "0006" + arpForGateway[4:], nil, packet.DropTransport},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			if tt.change != nil {
				tt.change(cfg)
			}
			f := newFixture(t, cfg)
			if !f.receive(t, arpFrame(t, tt.in), 0) {
				t.Error("not handled")
			}
			if f.dev.Sent() != 0 || f.link.Stats.Drops[tt.want] != 1 {
				t.Errorf("%d frames, drops %v, want none and one %v", f.dev.Sent(), f.link.Stats.Drops, tt.want)
			}
		})
	}
}
