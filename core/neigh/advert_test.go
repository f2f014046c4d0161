package neigh

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
)

// Parts of an advertisement from type and code on, checksum left out.
const (
	raHead   = "ff80ffff 00000000 00000000"
	raPrefix = "03 04 40 c0 ffffffff ffffffff 00000000 fd660000000000000000000000000002"
	raLink   = "01 01 020000000001"
	raMTU    = "05 01 0000 0000fff0"
	raDNS    = "19 05 0000 ffffffff fd660000000000000000000000000053 fd660000000000000000000000000054"
	raSearch = "1f 03 0000 ffffffff 03 6c616e 00 04 686f6d65 00 00000000 00"
)

func TestRouterAdvertisement(t *testing.T) {
	dns := []netip.Addr{netip.MustParseAddr("fd66::53"), netip.MustParseAddr("fd66::54")}
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"plain", func(*config.Config) {}, raHead + raPrefix + raLink + raMTU},
		{"no MTU", func(c *config.Config) { c.MTU = 0 }, raHead + raPrefix + raLink},
		{"no address", func(c *config.Config) { c.V6.Guest = netip.Addr{} }, raHead + raLink + raMTU},
		{"a prefix of its own", func(c *config.Config) {
			c.V6.Guest = netip.Addr{}
			c.Link.Advert = config.Advert{
				Prefix: netip.MustParsePrefix("fd00::/64"), RouterSec: 1800, ValidSec: 86400, PreferredSec: 14400,
			}
		}, "ff000708 00000000 00000000 03 04 40 c0 00015180 00003840 00000000 fd000000000000000000000000000000" + raLink + raMTU},
		{"resolvers not to be sent", func(c *config.Config) { c.V6.DNS = dns }, raHead + raPrefix + raLink + raMTU},
		{"search list not to be sent", func(c *config.Config) { c.Link.Search = []string{"lan"} }, raHead + raPrefix + raLink + raMTU},
		{"nothing to send", func(c *config.Config) { c.Link.SendDNS, c.Link.SendSearch = true, true }, raHead + raPrefix + raLink + raMTU},
		{"resolvers", func(c *config.Config) { c.V6.DNS, c.Link.SendDNS = dns, true }, raHead + raPrefix + raLink + raMTU + raDNS},
		{"search list alone", func(c *config.Config) {
			c.Link.Search, c.Link.SendSearch = []string{"lan", "home."}, true
		}, raHead + raPrefix + raLink + raMTU + raSearch},
		{"everything", func(c *config.Config) {
			c.V6.DNS, c.Link.SendDNS = dns, true
			c.Link.Search, c.Link.SendSearch = []string{"lan", "home"}, true
		}, raHead + raPrefix + raLink + raMTU + raDNS + raSearch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			tt.change(cfg)
			f := newFixture(t, cfg)
			f.receive(t, ndFrame(t, guestLL, rs, "00000000"), 0)
			got := f.dev.One(t)
			if got.Src.Netip().String() != "fe80::1" || got.Dst.Netip() != guestLL || got.TTL != 255 {
				t.Errorf("sent from %v to %v with hop limit %d", got.Src.Netip(), got.Dst.Netip(), got.TTL)
			}
			wantBytes(t, got.L4[:2], "8600")
			wantBytes(t, got.L4[4:], tt.want)
		})
	}
}

func TestSearchDomainsThatDoNotFit(t *testing.T) {
	cfg := testConfig()
	cfg.Link.SendSearch = true
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label}, ".")
	cfg.Link.Search = []string{"bad..name", strings.Repeat("a", 64), long + ".1", long + ".2", long + ".3", long + ".4", long + ".5", long + ".6", "lan"}
	f := newFixture(t, cfg)
	if n := len(f.ra); n > 1280 || n < 1000 {
		t.Errorf("advertisement of %d bytes, want most of 1280", n)
	}
	if !strings.Contains(string(f.ra), "\x03lan\x00") {
		t.Error("the domain that fits is missing")
	}
	for _, want := range []string{"empty label", "label of 64 bytes", `name=` + long + ".6"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("no %q in the log: %s", want, f.log.String())
		}
	}
	f.receive(t, ndFrame(t, guestLL, rs, "00000000"), 0)
	if _, ok := packet.ParseND(&f.dev.One(t).Packet); !ok {
		t.Error("advertisement is not valid")
	}
}

func TestNoAdvertisement(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"RA off":     func(c *config.Config) { c.Link.RA = false },
		"NDP off":    func(c *config.Config) { c.Link.NDP = false },
		"family off": func(c *config.Config) { c.V6.Enabled = false },
	} {
		cfg := testConfig()
		change(cfg)
		f := newFixture(t, cfg)
		f.Start(0)
		f.dev.Discard()
		if !f.receive(t, ndFrame(t, guestLL, rs, "00000000"), 0) || f.dev.Sent() != 0 {
			t.Errorf("%s: not handled, or %d frames sent", name, f.dev.Sent())
		}
		f.Expire(maxRAInterval)
		if f.dev.Sent() != 0 {
			t.Errorf("%s: unsolicited advertisement", name)
		}
	}
}
