package dhcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// Parts of a client's message up to the cookie, and message types.
const (
	head4    = "01 01 06 00 deadbeef 0007 0000 00000000 00000000 00000000 00000000"
	chaddr   = "020000000002 00000000000000000000"
	discover = "350101"
	request  = "350103"
)

// message4 makes a client's message; its options end with a marker.
func message4(t testing.TB, options string) []byte {
	t.Helper()
	b := append(coretest.Unhex(t, head4+chaddr), make([]byte, 64+128)...)
	return append(b, coretest.Unhex(t, "63825363"+options+"ff")...)
}

// options4Of gives the options area of the reply.
func options4Of(t testing.TB, f *coretest.Frame) []byte {
	t.Helper()
	u := f.UDP(t)
	if u.SrcPort() != 67 || u.DstPort() != 68 || len(u.Payload()) < 300 {
		t.Fatalf("datagram %d to %d with %d bytes", u.SrcPort(), u.DstPort(), len(u.Payload()))
	}
	return u.Payload()[240:]
}

const (
	opt1    = "01 04 ffffff00"
	opt3    = "03 04 0a420001"
	opt26   = "1a 02 fff0"
	opt51   = "33 04 ffffffff"
	offer53 = "35 01 02"
	ack53   = "35 01 05"
	opt54   = "36 04 0a420001"
	opt80   = "50 00"
)

func TestAnswers4(t *testing.T) {
	for _, tt := range []struct{ name, in, want, log string }{
		{"discover", discover, opt1 + opt3 + opt26 + opt51 + offer53 + opt54, "DHCP: offer to discover"},
		{
			"discover with rapid commit", discover + "5000", opt1 + opt3 + opt26 + opt51 + ack53 + opt54 + opt80,
			"DHCP: ack to discover (Rapid Commit)",
		},
		{"request", request, opt1 + opt3 + opt26 + opt51 + ack53 + opt54, "DHCP: ack to request"},
		{"request with rapid commit", request + "5000", opt1 + opt3 + opt26 + opt51 + ack53 + opt54, "DHCP: ack to request"},
		{
			"request for another address of another server", request + "3204 01020304 3604 0a000001",
			opt1 + opt3 + opt26 + opt51 + ack53 + opt54, "DHCP: ack to request",
		},
		{"BOOTP", "", opt1 + opt3 + opt26 + opt51 + ack53 + opt54, "BOOTP: ack to request"},
		{"padding", "000000" + discover + "00", opt1 + opt3 + opt26 + opt51 + offer53 + opt54, "DHCP: offer to discover"},
		{"parameter list", discover + "3703 33 03 01", offer53 + opt51 + opt3 + opt1 + opt26 + opt54, "DHCP: offer to discover"},
		{"parameter list with 53", discover + "3703 33 35 01", opt51 + offer53 + opt1 + opt3 + opt26 + opt54, "DHCP: offer to discover"},
		{"parameter list with repeats and strangers", discover + "3707 03 03 f0 00 ff 50 01", offer53 + opt3 + opt1 + opt26 + opt51 + opt54, "DHCP: offer to discover"},
		{"empty parameter list", discover + "3700", offer53 + opt1 + opt3 + opt26 + opt51 + opt54, "DHCP: offer to discover"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, testConfig())
			if !f.ask4(t, message4(t, tt.in)) {
				t.Error("not handled")
			}
			got := options4Of(t, f.dev.One(t))
			want := coretest.Unhex(t, tt.want+"ff00")
			want = append(want, make([]byte, 60-len(want))...)
			wantBytes(t, "options", got, fmt.Sprintf("%x", want))
			for _, line := range []string{`msg="` + tt.log + `"`, `msg="    from 02:00:00:00:00:02"`} {
				if !strings.Contains(f.logs.String(), line) {
					t.Errorf("no %s in the log: %s", line, f.logs.String())
				}
			}
		})
	}
}

// TestTypeFirst: the type comes before what the client asks for, and before all if it
// asks for nothing.
func TestTypeFirst(t *testing.T) {
	for _, in := range []string{discover, discover + "3703 33 35 01"} {
		cfg := testConfig()
		cfg.Link.TypeFirst = true
		f := newFixture(t, cfg)
		f.ask4(t, message4(t, in))
		got := options4Of(t, f.dev.One(t))
		wantBytes(t, "first option", got[:3], offer53)
		if n := bytes.Count(got, []byte{53, 1, 2}); n != 1 {
			t.Errorf("%d types in the reply", n)
		}
	}
}

func TestReply4Header(t *testing.T) {
	f := newFixture(t, testConfig())
	msg := message4(t, request)
	copy(msg[12:], []byte{10, 66, 0, 9})              // ciaddr
	copy(msg[16:], []byte{1, 1, 1, 1, 2, 2, 2, 2})    // yiaddr, siaddr
	copy(msg[44:], bytes.Repeat([]byte("x"), 64+128)) // sname, file
	f.ask4(t, msg)
	got := f.dev.One(t)
	wantBytes(t, "header", got.UDP(t).Payload()[:240],
		"02 01 06 00 deadbeef 0000 0000 0a420009 0a420002 00000000 00000000"+chaddr+strings.Repeat("00", 192)+"63825363")
	if got.Src.Netip().String() != "10.66.0.1" || got.Dst.Netip().String() != "10.66.0.2" || got.TTL != 255 || got.L3[6]&0x40 == 0 {
		t.Errorf("sent from %v to %v, TTL %d, flags %#x", got.Src.Netip(), got.Dst.Netip(), got.TTL, got.L3[6])
	}
	if got.EthDst != coretest.GuestMAC {
		t.Errorf("sent to MAC %x", got.EthDst)
	}
}

func TestBroadcastReply4(t *testing.T) {
	f := newFixture(t, testConfig())
	msg := message4(t, discover)
	msg[10] = 0x80
	f.ask4(t, msg)
	got := f.dev.One(t)
	if got.EthDst != packet.Broadcast || !got.Dst.IsBroadcast() {
		t.Errorf("sent to %x, %v, want broadcast", got.EthDst, got.Dst.Netip())
	}
	if flags := binary.BigEndian.Uint16(got.UDP(t).Payload()[10:]); flags != 0x8000 {
		t.Errorf("flags %#x, want the client's", flags)
	}
}

func TestNoAnswer4(t *testing.T) {
	change := func(at int, v byte) []byte {
		b := message4(t, discover)
		b[at] = v
		return b
	}
	for _, tt := range []struct {
		name string
		in   []byte
		drop bool
	}{
		{"decline", message4(t, "350104"), false},
		{"release", message4(t, "350107"), false},
		{"inform", message4(t, "350108"), false},
		{"unknown type", message4(t, "3501ff"), false},
		{"empty", nil, true},
		{"cut", message4(t, discover)[:235], true},
		{"reply", change(0, 2), true},
		{"other hardware", change(1, 6), true},
		{"other address length", change(2, 16), true},
		{"option cut", message4(t, discover+"0c20"), true},
		{"option without length", message4(t, discover+"0c")[:244], true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, testConfig())
			if !f.ask4(t, tt.in) {
				t.Error("not handled")
			}
			if dropped := f.link.Stats.Drops[packet.DropTransport] == 1; f.dev.Sent() != 0 || dropped != tt.drop {
				t.Errorf("%d frames sent, dropped %v, want none, %v", f.dev.Sent(), dropped, tt.drop)
			}
		})
	}
}

// TestBOOTPWithoutCookie: vendor areas need not be in a format that we know.
func TestBOOTPWithoutCookie(t *testing.T) {
	for _, n := range []int{236, 239, 240, 300} {
		f := newFixture(t, testConfig())
		msg := append(message4(t, "")[:236], make([]byte, 64)...)[:n]
		f.ask4(t, msg)
		if f.dev.Sent() != 1 {
			t.Errorf("%d bytes: no answer", n)
		}
	}
}

// TestFullReply4 has an independent decoder read everything that can be sent.
func TestFullReply4(t *testing.T) {
	f := newFixture(t, fullConfig())
	f.ask4(t, message4(t, discover))
	m, err := dhcpv4.FromBytes(f.dev.One(t).UDP(t).Payload())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"type": m.MessageType().String(), "address": m.YourIPAddr.String(), "mask": m.SubnetMask().String(),
		"router": fmt.Sprint(m.Router()), "dns": fmt.Sprint(m.DNS()), "host": m.HostName(),
		"search": fmt.Sprint(m.DomainSearch().Labels), "routes": fmt.Sprint(m.ClasslessStaticRoute()),
		"server": m.ServerIdentifier().String(), "lease": fmt.Sprint(m.IPAddressLeaseTime(0)),
		"mtu":  fmt.Sprintf("%x", m.Options.Get(dhcpv4.OptionInterfaceMTU)),
		"fqdn": fmt.Sprintf("%q", m.Options.Get(dhcpv4.OptionFQDN)),
	}
	want := map[string]string{
		"type": "OFFER", "address": "10.66.0.2", "mask": "ffffff00", "router": "[10.99.0.1]",
		"dns": "[10.66.0.53 10.66.0.54]", "host": "guest1", "search": "[corp.example.org example.org lan]",
		"routes": "[route to 10.99.0.1/32 via 0.0.0.0 route to 0.0.0.0/0 via 10.99.0.1]",
		"server": "10.99.0.1", "lease": "1193046h28m15s", "mtu": "fff0",
		"fqdn": `"\x04\xff\xff\x06guest1\aexample\x03org\x00"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("options (-want +got):\n%s", d)
	}
}

func TestOptionalOptions4(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   uint8
		change func(*config.Config)
	}{
		{"no MTU", 26, func(c *config.Config) { c.MTU = 0 }},
		{"no gateway", 3, func(c *config.Config) { c.V4.Gateway = netip.Addr{} }},
		{"resolvers not to be sent", 6, func(c *config.Config) { c.Link.SendDNS = false }},
		{"no resolvers", 6, func(c *config.Config) { c.V4.DNS = nil }},
		{"search list not to be sent", 119, func(c *config.Config) { c.Link.SendSearch = false }},
		{"no valid search domain", 119, func(c *config.Config) { c.Link.Search = []string{"a..b"} }},
		{"no host name", 12, func(c *config.Config) { c.Link.Hostname = "" }},
		{"no FQDN", 81, func(c *config.Config) { c.Link.FQDN = "" }},
		{"invalid FQDN", 81, func(c *config.Config) { c.Link.FQDN = strings.Repeat("a", 64) }},
		{"gateway on the subnet", 121, func(c *config.Config) { c.V4.Gateway = netip.MustParseAddr("10.66.0.1") }},
		{"no rapid commit", 80, func(*config.Config) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := fullConfig()
			tt.change(cfg)
			f := newFixture(t, cfg)
			f.ask4(t, message4(t, discover))
			m, err := dhcpv4.FromBytes(f.dev.One(t).UDP(t).Payload())
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := m.Options[tt.code]; ok {
				t.Errorf("option %d = % x, want none", tt.code, v)
			}
		})
	}
}

// TestOtherOptions4: what only some personalities tell.
func TestOtherOptions4(t *testing.T) {
	cfg := testConfig()
	cfg.Link.Domain, cfg.Link.LeaseSec, cfg.Link.Broadcast = "lan", 86400, true
	cfg.Link.NTP = []netip.Addr{netip.MustParseAddr("10.66.0.1"), netip.MustParseAddr("10.66.0.9")}
	f := newFixture(t, cfg)
	f.ask4(t, message4(t, discover))
	m, err := dhcpv4.FromBytes(f.dev.One(t).UDP(t).Payload())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(m.DomainName(), m.IPAddressLeaseTime(0), m.BroadcastAddress(), m.NTPServers())
	if want := "lan 24h0m0s 10.66.0.255 [10.66.0.1 10.66.0.9]\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

func TestBroadcastAddress4(t *testing.T) {
	for in, want := range map[string]string{
		"10.66.0.2/24": "10.66.0.255", "10.66.0.2/30": "10.66.0.3", "10.66.0.2/32": "10.66.0.2", "10.66.0.2/0": "255.255.255.255",
	} {
		if got, _ := netip.AddrFromSlice(broadcast(netip.MustParsePrefix(in))); got.String() != want {
			t.Errorf("broadcast(%s) = %s, want %s", in, got, want)
		}
	}
}

// TestReply4Length: options that do not fit are left out, and the client may
// allow longer messages than everybody has to take.
func TestReply4Length(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		mtu      int
		max      int
		routes   bool
	}{
		{"default", discover, 65520, 576, false},
		{"big options asked for first", discover + "3702 0c77", 65520, 576, false},
		{"client says too little", discover + "3902 0100", 65520, 576, false},
		{"client says 1000", discover + "3902 03e8", 65520, 1000, true},
		{"client says 65535", discover + "3902 ffff", 65520, 1500, true},
		{"limit by MTU", discover + "3902 ffff", 600, 600, false},
		{"no MTU", discover + "3902 ffff", 0, 1500, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := fullConfig()
			cfg.Link.Hostname = strings.Repeat("h", 255) // with the others more than 308 bytes
			cfg.MTU = tt.mtu
			f := newFixture(t, cfg)
			f.ask4(t, message4(t, tt.in))
			got := f.dev.One(t)
			if len(got.L3) > tt.max {
				t.Errorf("packet of %d bytes, want at most %d", len(got.L3), tt.max)
			}
			m, err := dhcpv4.FromBytes(got.UDP(t).Payload())
			if err != nil {
				t.Fatal(err)
			}
			if has := m.ClasslessStaticRoute() != nil; has != tt.routes {
				t.Errorf("routes sent: %v, want %v", has, tt.routes)
			}
			if m.MessageType() != dhcpv4.MessageTypeOffer || m.ServerIdentifier() == nil || m.IPAddressLeaseTime(0) == 0 {
				t.Error("type, server identifier or lease time missing")
			}
		})
	}
}

// TestLongOption4: values beyond 255 bytes come in parts (RFC 3396).
func TestLongOption4(t *testing.T) {
	cfg := testConfig()
	cfg.Link.SendSearch = true
	for i := range 6 {
		cfg.Link.Search = append(cfg.Link.Search, fmt.Sprintf("%s%d.example", strings.Repeat("a", 60), i))
	}
	f := newFixture(t, cfg)
	f.ask4(t, message4(t, discover+"3902 05dc"))
	m, err := dhcpv4.FromBytes(f.dev.One(t).UDP(t).Payload())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(cfg.Link.Search, m.DomainSearch().Labels); d != "" {
		t.Errorf("search list (-want +got):\n%s", d)
	}
}
