package dhcp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// Parts of a client's message.
const (
	xid       = "abcdef"
	clientID  = "0001 000a 00030001020000000002"
	otherID   = "0002 000a 00030001020000000099"
	iaNA      = "0003 000c 11223344 00000000 00000000"
	iaGood    = "0003 0028 11223344 00000000 00000000 0005 0018 fd660000000000000000000000000002 00000000 00000000"
	iaForeign = "0003 0028 55667788 00000000 00000000 0005 0018 fd990000000000000000000000000099 00000000 00000000"
	taForeign = "0004 0020 99aabbcc 0005 0018 fd990000000000000000000000000099 00000000 00000000"
)

// Parts of our reply. The server identifier of tests has time 01020304.
const (
	ourID      = "0002 000e 0001 0001 01020304 020000000001"
	lease      = "0003 0028 11223344 ffffffff ffffffff 0005 0018 fd660000000000000000000000000002 ffffffff ffffffff"
	notOnLink  = "000d 0022 0004 507265666978206e6f7420617070726f70726961746520666f72206c696e6b2e"
	naRefusal  = "0003 0032 55667788 00000000 00000000" + notOnLink
	taRefusal  = "0004 002a 99aabbcc" + notOnLink
	logRequest = "DHCPv6: reply to request"
)

func newFixture6(t testing.TB, cfg *config.Config) *fixture {
	t.Helper()
	f := newFixture(t, cfg)
	copy(f.serverID[4:], []byte{1, 2, 3, 4})
	return f
}

func TestAnswers6(t *testing.T) {
	for _, tt := range []struct{ name, in, want, log string }{
		{"solicit", "01" + xid + clientID + iaNA, "02" + xid + ourID + lease + clientID, "DHCPv6: advertise to solicit"},
		{"solicit with rapid commit", "01" + xid + clientID + iaNA + "000e0000", "02" + xid + ourID + lease + clientID, "DHCPv6: advertise to solicit"},
		{"solicit with hint", "01" + xid + clientID + iaForeign, "02" + xid + ourID +
			strings.Replace(lease, "11223344", "55667788", 1) + clientID, "DHCPv6: advertise to solicit"},
		{"solicit without IA", "01" + xid + clientID, "02" + xid + ourID + clientID, "DHCPv6: advertise to solicit"},
		{"request", "03" + xid + clientID + ourID + iaGood, "07" + xid + ourID + lease + clientID, logRequest},
		{"request without address", "03" + xid + ourID + iaNA + clientID, "07" + xid + ourID + lease + clientID, logRequest},
		{"request of a foreign address", "03" + xid + clientID + ourID + iaForeign, "07" + xid + ourID + naRefusal + clientID, logRequest},
		{
			"request of a foreign temporary address", "03" + xid + clientID + ourID + iaGood + taForeign,
			"07" + xid + ourID + taRefusal + clientID, logRequest,
		},
		{"request with two associations", "03" + xid + clientID + ourID + iaGood + iaNA, "07" + xid + ourID + lease + clientID, logRequest},
		{"renew", "05" + xid + clientID + ourID + iaGood, "07" + xid + ourID + lease + clientID, "DHCPv6: reply to renew"},
		{"renew of a foreign address", "05" + xid + clientID + ourID + iaForeign, "07" + xid + ourID + naRefusal + clientID, "DHCPv6: reply to renew"},
		{"confirm", "04" + xid + clientID + iaGood, "07" + xid + ourID + lease + clientID, "DHCPv6: reply to confirm"},
		{"confirm of a foreign address", "04" + xid + clientID + iaForeign, "07" + xid + ourID + naRefusal + notOnLink + clientID, "DHCPv6: reply to confirm"},
		{"rebind", "06" + xid + clientID + iaGood, "07" + xid + ourID + lease + clientID, "DHCPv6: reply to rebind"},
		{"rebind with our ID", "06" + xid + clientID + ourID + iaGood, "07" + xid + ourID + lease + clientID, "DHCPv6: reply to rebind"},
		{"information request", "0b" + xid + clientID, "07" + xid + ourID + clientID, "DHCPv6: reply to information-request"},
		{
			"longest client ID", "0b" + xid + "00010080" + strings.Repeat("07", 128),
			"07" + xid + ourID + "00010080" + strings.Repeat("07", 128), "DHCPv6: reply to information-request",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture6(t, testConfig())
			if !f.ask6(t, coretest.Unhex(t, tt.in)) {
				t.Error("not handled")
			}
			got := f.dev.One(t)
			u := got.UDP(t)
			if u.SrcPort() != 547 || u.DstPort() != 546 || got.Src.Netip().String() != "fe80::1" || got.Dst.Netip().String() != "fe80::2" {
				t.Errorf("sent from %v, %d to %v, %d", got.Src.Netip(), u.SrcPort(), got.Dst.Netip(), u.DstPort())
			}
			wantBytes(t, "IPv6 header", got.L3[:4], "600bcdef") // flow label: transaction ID
			wantBytes(t, "message", u.Payload(), tt.want)
			for _, line := range []string{`msg="` + tt.log + `"`, `msg="    from fe80::2"`} {
				if !strings.Contains(f.logs.String(), line) {
					t.Errorf("no %s in the log: %s", line, f.logs.String())
				}
			}
			if got.EthDst != coretest.GuestMAC {
				t.Errorf("sent to MAC %x", got.EthDst)
			}
		})
	}
}

func TestNoAnswer6(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		drop     bool
	}{
		{"solicit naming us", "01" + xid + clientID + ourID + iaNA, false},
		{"confirm naming us", "04" + xid + clientID + ourID + iaGood, false},
		{"request to nobody", "03" + xid + clientID + iaNA, false},
		{"request to another", "03" + xid + clientID + otherID + iaNA, false},
		{"renew to another", "05" + xid + clientID + otherID + iaGood, false},
		{"rebind to another", "06" + xid + clientID + otherID + iaGood, false},
		{"information request with IA", "0b" + xid + clientID + iaNA, false},
		{"information request to another", "0b" + xid + clientID + otherID, false},
		{"release", "08" + xid + clientID + ourID + iaGood, false},
		{"decline", "09" + xid + clientID + ourID + iaGood, false},
		{"advertise", "02" + xid + clientID + ourID, false},
		{"relayed", "0c" + xid + clientID, false},
		{"no client ID", "01" + xid + iaNA, true},
		{"empty client ID", "01" + xid + "00010000" + iaNA, true},
		{"overlong client ID", "0b" + xid + "00010081" + strings.Repeat("07", 129), true},
		{"empty", "", true},
		{"header cut", "01abcd", true},
		{"option cut", "01" + xid + clientID + "0003000d" + "112233440000000000000000", true},
		{"option header cut", "01" + xid + clientID + "000300", true},
		{"IA_NA cut", "01" + xid + clientID + "0003000b" + "1122334400000000000000", true},
		{"IA_TA cut", "01" + xid + clientID + "00040003" + "112233", true},
		{"address cut", "03" + xid + clientID + ourID + "0003 0027 11223344 00000000 00000000 0005 0017 fd66000000000000000000000000000200000000000000", true},
		{"option in IA cut", "03" + xid + clientID + ourID + "0003 0010 11223344 00000000 00000000 00050018", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture6(t, testConfig())
			if !f.ask6(t, coretest.Unhex(t, tt.in)) {
				t.Error("not handled")
			}
			if dropped := f.link.Stats.Drops[packet.DropTransport] == 1; f.dev.Sent() != 0 || dropped != tt.drop {
				t.Errorf("%d frames sent, dropped %v, want none, %v", f.dev.Sent(), dropped, tt.drop)
			}
		})
	}
}

func TestMakeDUID(t *testing.T) {
	mac := packet.MAC{2, 0, 0, 0, 0, 1}
	wantBytes(t, "DUID", makeDUID(mac, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)), "0001 0001 0000003c 020000000001")
}

// TestFullReply6 has an independent decoder read everything that can be sent.
func TestFullReply6(t *testing.T) {
	f := newFixture6(t, fullConfig())
	f.ask6(t, coretest.Unhex(t, "01"+xid+clientID+iaNA))
	payload := f.dev.One(t).UDP(t).Payload()
	m, err := dhcpv6.MessageFromBytes(payload)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"address": m.Options.OneIANA().Options.OneAddress().IPv6Addr.String(),
		"dns":     fmt.Sprint(m.Options.DNS()),
		"search":  fmt.Sprint(m.Options.DomainSearchList().Labels),
		"fqdn":    fmt.Sprintf("%d %v", m.Options.FQDN().Flags, m.Options.FQDN().DomainName.Labels),
		"order":   "",
	}
	for _, o := range m.Options.Options {
		got["order"] += fmt.Sprint(uint16(o.Code()), " ")
	}
	want := map[string]string{
		"address": "fd66::2", "dns": "[fd66::53 fd66::54]", "search": "[corp.example.org example.org lan]",
		"fqdn": "0 [guest1.example.org]", "order": "2 3 1 23 24 39 ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reply (-want +got):\n%s", d)
	}
}

// TestOverlongSearchList6: the longest reply stays within the smallest MTU.
func TestOverlongSearchList6(t *testing.T) {
	cfg := fullConfig()
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:50]}, ".")
	cfg.Link.Search = []string{"a..b", long + ".1", long + ".2", long + ".3", long + ".4", long + ".5", "lan"}
	cfg.Link.FQDN = long
	cfg.V6.DNS = append(cfg.V6.DNS, netip.MustParseAddr("fd66::55"))
	f := newFixture6(t, cfg)
	f.ask6(t, coretest.Unhex(t, "01"+xid+"00010080"+strings.Repeat("07", 128)+iaNA))
	got := f.dev.One(t)
	if len(got.L3) > 1280 {
		t.Errorf("packet of %d bytes, want at most 1280", len(got.L3))
	}
	m, err := dhcpv6.MessageFromBytes(got.UDP(t).Payload())
	if err != nil {
		t.Fatal(err)
	}
	names := m.Options.DomainSearchList().Labels
	if len(names) < 2 || names[len(names)-1] != "lan" || m.Options.FQDN() == nil {
		t.Errorf("search list %q, FQDN %v", names, m.Options.FQDN())
	}
	for _, want := range []string{"empty label", "list too long"} {
		if !strings.Contains(f.logs.String(), want) {
			t.Errorf("no %q in the log: %s", want, f.logs.String())
		}
	}
}

func TestNoOptions6(t *testing.T) {
	cfg := fullConfig()
	cfg.Link.SendDNS, cfg.Link.SendSearch, cfg.Link.FQDN = false, false, "a..b"
	f := newFixture6(t, cfg)
	f.ask6(t, coretest.Unhex(t, "0b"+xid+clientID))
	wantBytes(t, "message", f.dev.One(t).UDP(t).Payload(), "07"+xid+ourID+clientID)
}
