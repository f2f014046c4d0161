package command

import (
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/cmd/pasta/daemon"
	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// The command lines of rootlesskit.md section 2, word by word.

const rootlessKitNet = " --address=10.0.2.100 --netmask=24 --gateway=10.0.2.2 --dns-forward=10.0.2.3"

func rootlessKitDefaults(o *daemon.Options) {
	o.Foreground = false
	o.Target = daemon.Target{PID: 4711}
	o.Net.NsIfName, o.Net.MTU = "tap0", 65520
	o.Net.Address4, o.Net.PrefixLen4 = addr("10.0.2.100"), 24
	o.Net.Gateway4, o.Net.DNSForward4 = addr("10.0.2.2"), addr("10.0.2.3")
	o.Net.V6 = false
}

func TestRootlessKitVersions(t *testing.T) {
	tests := []struct {
		name, args string
		want       func(o *daemon.Options)
	}{
		{
			"2.0 to 2.2", "--foreground --stderr --ns-ifname=tap0 --mtu=65520 --no-dhcp --no-ra" + rootlessKitNet +
				" --no-map-gw --ipv4-only --tcp-ports=none --udp-ports=none 4711",
			func(o *daemon.Options) {
				rootlessKitDefaults(o)
				o.Foreground, o.Net.NoDHCP, o.Net.NoRA, o.Net.NoMapGW = true, true, true, true
			},
		},
		{
			"2.3 to 3.0", "--stderr --ns-ifname=tap0 --mtu=65520 --config-net" + rootlessKitNet +
				" --ipv4-only --tcp-ports=none --udp-ports=none 4711",
			func(o *daemon.Options) {
				rootlessKitDefaults(o)
				o.Net.ConfigNet = true
			},
		},
		{
			"3.0 with implicit loopback", "--stderr --ns-ifname=tap0 --mtu=65520 --config-net" + rootlessKitNet +
				" --ipv4-only --tcp-ports=none --udp-ports=none --host-lo-to-ns-lo 4711",
			func(o *daemon.Options) {
				rootlessKitDefaults(o)
				o.Net.ConfigNet, o.Bypass.SameLoopback = true, true
			},
		},
		{
			"3.1 detached", "--stderr --ns-ifname=tap0 --mtu=65520 --config-net" + rootlessKitNet +
				" --no-map-gw --tcp-ns=none --udp-ns=none --tcp-ports=none --udp-ports=none" +
				" --userns=/proc/4711/ns/user --netns=/proc/4711/root/run/user/1000/dockerd-rootless/netns",
			func(o *daemon.Options) {
				rootlessKitDefaults(o)
				o.Net.ConfigNet, o.Net.NoMapGW, o.Net.V6 = true, true, true
				o.Target = daemon.Target{
					Userns: "/proc/4711/ns/user", Netns: "/proc/4711/root/run/user/1000/dockerd-rootless/netns",
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkOptions(t, strings.Fields(tt.args), wanted(tt.want))
			checkNoWarning(t, strings.Fields(tt.args))
		})
	}
}

// checkNoWarning checks that a usual command line of a caller, who may show what pasta says,
// has no warning on a usual host, but for that of --stderr.
func checkNoWarning(t *testing.T, args []string) {
	t.Helper()
	var stderr strings.Builder
	o, err := Parse(args, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile("../../../netcfg/testdata/normal.json")
	if err != nil {
		t.Fatal(err)
	}
	var host netcfg.HostState
	if err := json.Unmarshal(recorded, &host); err != nil {
		t.Fatal(err)
	}
	plan, err := netcfg.Decide(host, resolv.Conf{Servers: []netip.Addr{addr("9.9.9.9"), addr("fd00::53")}}, o.Net)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.ReplaceAll(stderr.String(), "--stderr will be dropped soon\n", "") + strings.Join(plan.Warnings, "\n")
	if said != "" {
		t.Errorf("%q says:\n%s", args, said)
	}
}

// TestRootlessKitProbes holds the command lines that RootlessKit finds out features
// with: they succeed without any effect of what stands before --version.
func TestRootlessKitProbes(t *testing.T) {
	for _, args := range []string{"--version", "--host-lo-to-ns-lo --version", "--conf-path=/dev/null --version"} {
		_, err := Parse(strings.Fields(args), io.Discard)
		var done *cmdline.Stop
		if !errors.As(err, &done) {
			t.Errorf("Parse(%s) = %v, want the version", args, err)
		}
	}
}

func TestRootlessKitPesto(t *testing.T) {
	args := "--stderr --ns-ifname=tap0 --mtu=65520 --config-net" + rootlessKitNet +
		" --ipv4-only --tcp-ports=none --udp-ports=none --conf-path=/run/.pasta.sock 4711"
	checkOptions(t, strings.Fields(args), wanted(func(o *daemon.Options) {
		rootlessKitDefaults(o)
		o.Net.ConfigNet, o.ConfPath = true, "/run/.pasta.sock"
	}))
	checkNoWarning(t, strings.Fields(args))
}

func TestSlirp4netnsWrapper(t *testing.T) {
	args := strings.Fields("-q --ipv4-only -a 10.0.2.0 -n 24 -g 10.0.2.2 --dns-forward 10.0.2.3 -m 1500 " +
		"--no-ndp --no-dhcpv6 --no-dhcp -P /tmp/pid 4711")
	checkOptions(t, args, wanted(func(o *daemon.Options) {
		rootlessKitDefaults(o)
		o.Level, o.PIDFile = daemon.LevelQuiet, "/tmp/pid"
		o.Net.NsIfName, o.Net.MTU, o.Net.Address4 = "", 1500, addr("10.0.2.0")
		o.Net.NoNDP, o.Net.NoDHCPv6, o.Net.NoDHCP = true, true, true
	}))
	checkNoWarning(t, args)
}

func TestVersionAndHelpWinOverLaterGarbage(t *testing.T) {
	tests := []struct{ args, first string }{
		{"--version", "pasta " + Version()},
		{"--version --foo", "pasta " + Version()},
		{"-m 1500 --version -m x", "pasta " + Version()},
		{"--help --foo", "Usage: pasta [OPTION]... [COMMAND] [ARGS]..."},
		{"-qh", "Usage: pasta [OPTION]... [COMMAND] [ARGS]..."},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := Parse(strings.Fields(tt.args), io.Discard)
			var done *cmdline.Stop
			if !errors.As(err, &done) {
				t.Fatalf("Parse = %v, want the end of parsing with a text", err)
			}
			if first, _, _ := strings.Cut(done.Text, "\n"); first != tt.first {
				t.Errorf("first line = %q, want %q", first, tt.first)
			}
		})
	}
}

func TestVersionTextEndsWithBlankLine(t *testing.T) {
	text := versionText("pasta", "1.2")
	if !strings.HasPrefix(text, "pasta 1.2\n") || !strings.HasSuffix(text, "\n\n") {
		t.Errorf("version text = %q", text)
	}
}
