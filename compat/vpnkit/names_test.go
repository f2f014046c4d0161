package vpnkit

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pasta-net/pasta/core/config"
)

func TestParseHosts(t *testing.T) {
	in := `127.0.0.1	localhost lh # me
# comment
::1 ip6-localhost

10.0.0.1
nonsense name
fe80::1%eth0 scoped
::ffff:10.0.0.2 mapped`
	want := []config.Name{
		{Name: "localhost", Addr: addr("127.0.0.1")},
		{Name: "lh", Addr: addr("127.0.0.1")},
		{Name: "ip6-localhost", Addr: addr("::1")},
		{Name: "mapped", Addr: addr("10.0.0.2")},
	}
	if d := cmp.Diff(want, parseHosts(strings.NewReader(in)), compareAddrs); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
}

var compareAddrs = cmpopts.EquateComparable(netip.Addr{})

func TestParseHostsIsBounded(t *testing.T) {
	in := "10.0.0.1" + strings.Repeat(" n", maxNames+10)
	if got := len(parseHosts(strings.NewReader(in))); got != maxNames {
		t.Errorf("%d names, want %d", got, maxNames)
	}
}

func FuzzParseHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 localhost # x")
	f.Fuzz(func(t *testing.T, in string) {
		for _, n := range parseHosts(strings.NewReader(in)) {
			if !n.Addr.IsValid() || n.Addr.Zone() != "" || n.Name == "" || strings.ContainsAny(n.Name, " \t\n#") {
				t.Errorf("%q has %+v", in, n)
			}
		}
	})
}

func TestNamesForGuest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("10.0.0.1 more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSettings()
	s.names.hostsFile = file
	s.names.host = []string{"a", "b"}
	g := guest{ip: addr("192.168.65.9")}
	want := []config.Name{
		{Name: "a", Addr: addr("192.168.65.2")},
		{Name: "b", Addr: addr("192.168.65.2")},
		{Name: "gateway.internal", Addr: addr("192.168.65.1")},
		{Name: "vm.internal", Addr: g.ip},
		{Name: "more", Addr: addr("10.0.0.1")},
	}
	if d := cmp.Diff(want, s.names.forGuest(&s.network, g), compareAddrs); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	s.names.hostsFile, s.network.host = file+".missing", netip.Addr{}
	if d := cmp.Diff(want[2:4], s.names.forGuest(&s.network, g), compareAddrs); d != "" {
		t.Errorf("names without host and file (-want +got):\n%s", d)
	}
}
