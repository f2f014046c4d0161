package neigh

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

var guestLL = netip.MustParseAddr("fe80::2")

func testConfig() *config.Config { return coretest.LinkConfig(config.Link{NDP: true, RA: true}) }

// fixture is a handler on an in-memory tap. Its random numbers are zero.
type fixture struct {
	*Handler
	dev  *coretest.MemTap
	link *tap.Link
	log  bytes.Buffer
}

func newFixture(t testing.TB, cfg *config.Config) *fixture {
	t.Helper()
	f := &fixture{}
	f.link, f.dev = coretest.NewLink(t, coretest.AllFeatures)
	f.Handler = New(cfg, f.link, nil, slog.New(slog.NewTextHandler(&f.log, nil)))
	f.random = func(int64) int64 { return 0 }
	return f
}

// receive passes one frame through link and handler.
func (f *fixture) receive(t testing.TB, frame []byte, now int64) (handled bool) {
	t.Helper()
	return f.FromTap(coretest.Pass(t, f.link, f.dev, frame), now)
}

// wantBytes compares with hexadecimal text in which blanks do not matter.
func wantBytes(t testing.TB, got []byte, want string) {
	t.Helper()
	if w := coretest.Unhex(t, want); !bytes.Equal(got, w) {
		t.Errorf("got  % x\nwant % x", got, w)
	}
}

// arpFrame is a broadcast from the guest with the given ARP packet.
func arpFrame(t testing.TB, arp string) []byte {
	t.Helper()
	b := make([]byte, packet.EthLen)
	packet.PutEthernet(b, packet.Broadcast, coretest.GuestMAC, packet.EtherTypeARP)
	return append(b, coretest.Unhex(t, arp)...)
}

// ndFrame is a Neighbor Discovery message from the guest; msg starts behind type,
// code and checksum.
func ndFrame(t testing.TB, src netip.Addr, typ uint8, msg string) []byte {
	t.Helper()
	b := coretest.Unhex(t, msg)
	rest := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	dst := netip.MustParseAddr("ff02::1")
	frame := coretest.ICMP(src, dst, typ, 0, rest, b[4:])
	return coretest.SetTTL(frame, 255)
}

func TestStartAsksForGuestMAC(t *testing.T) {
	f := newFixture(t, testConfig())
	f.Start(0)
	frames := f.dev.Take(t)
	if len(frames) != 2 {
		t.Fatalf("%d frames, want an ARP request and a neighbor solicitation", len(frames))
	}
	for _, frame := range frames {
		if frame.EthDst != packet.Broadcast {
			t.Errorf("sent to %x, want broadcast", frame.EthDst)
		}
	}
	wantBytes(t, frames[0].L3[:packet.ARPLen], "0001 0800 06 04 0001 020000000001 0a420001 000000000000 0a420002")
	wantBytes(t, frames[1].L3, "60000000 0020 3a ff fe80000000000000 0000000000000001 ff02000000000000 00000001ff000002"+
		"87 00 7bb1 00000000 fd660000000000000000000000000002 0101 020000000001")
}

func TestStartWithoutAddresses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   int
	}{
		{"IPv4 off", func(c *config.Config) { c.V4.Enabled = false }, 1},
		{"IPv6 off", func(c *config.Config) { c.V6.Enabled = false }, 1},
		{"NDP off", func(c *config.Config) { c.Link.NDP = false }, 1},
		{"no IPv6 address", func(c *config.Config) { c.V6.Guest = netip.Addr{} }, 1},
		{"quiet", func(c *config.Config) { c.Link.Quiet = true }, 0},
		{"no address", func(c *config.Config) { c.V4.Guest, c.V6.Guest = netip.Addr{}, netip.Addr{} }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			tt.change(cfg)
			f := newFixture(t, cfg)
			f.Start(0)
			if got := f.dev.Sent(); got != tt.want {
				t.Errorf("%d frames, want %d", got, tt.want)
			}
		})
	}
}

func TestOtherPacketsAreNotHandled(t *testing.T) {
	f := newFixture(t, testConfig())
	for name, frame := range map[string][]byte{
		"echo request":       coretest.Echo(guestLL, netip.MustParseAddr("fe80::1"), 1, 1, nil),
		"type 132":           coretest.ICMP(guestLL, netip.MustParseAddr("fe80::1"), 132, 0, 0, nil),
		"type 138":           coretest.ICMP(guestLL, netip.MustParseAddr("fe80::1"), 138, 0, 0, nil),
		"type 133, IPv4":     coretest.ICMP(netip.MustParseAddr("10.66.0.2"), netip.MustParseAddr("10.66.0.1"), 133, 0, 0, nil),
		"UDP":                coretest.UDP(netip.MustParseAddrPort("10.66.0.2:1"), netip.MustParseAddrPort("10.66.0.1:1"), nil),
		"other IPv6 payload": coretest.IP(guestLL, netip.MustParseAddr("fe80::1"), 200, nil),
	} {
		f.dev.Inject(frame)
		var p packet.Packet
		f.link.Recv(make([]byte, tap.RecvLen), &p)
		if f.FromTap(&p, 0) {
			t.Errorf("%s: handled", name)
		}
	}
	if f.FromTap(&packet.Packet{EtherType: packet.EtherTypeIP6, Proto: packet.ProtoICMPv6}, 0) {
		t.Error("ICMPv6 without a header: handled")
	}
}

// TestNoAllocation: an answer costs no garbage.
func TestNoAllocation(t *testing.T) {
	f := newFixture(t, testConfig())
	for name, frame := range map[string][]byte{
		"ARP": arpFrame(t, arpForGateway),
		"NS":  ndFrame(t, guestLL, packet.ICMPv6NeighborSolicit, "00000000 fe800000000000000000000000000001"),
		"RS":  ndFrame(t, guestLL, packet.ICMPv6RouterSolicit, "00000000"),
	} {
		var p packet.Packet
		if d := p.Parse(frame); d != packet.DropNone {
			t.Fatalf("%s: %v", name, d)
		}
		if n := testing.AllocsPerRun(100, func() {
			f.dev.Discard()
			f.FromTap(&p, 0)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if f.dev.Sent() != 1 {
			t.Errorf("%s: no answer", name)
		}
		f.dev.Discard()
	}
}
