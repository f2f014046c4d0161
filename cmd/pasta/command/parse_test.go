package command

import (
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pasta-net/pasta/cmd/pasta/daemon"
	"github.com/pasta-net/pasta/core/fwd"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// wanted is the result of an empty command line, changed by change.
func wanted(change func(o *daemon.Options)) *daemon.Options {
	o := newSettings(io.Discard).opts
	o.Foreground, o.Target.Spawn = true, true
	if change != nil {
		change(&o)
	}
	return &o
}

func checkOptions(t *testing.T, args []string, want *daemon.Options) {
	t.Helper()
	got, err := Parse(args, io.Discard)
	if err != nil {
		t.Fatalf("Parse(%q): %v", args, err)
	}
	equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	forwards := cmpopts.IgnoreFields(daemon.Options{}, "Forwards") // see TestForwards
	if diff := cmp.Diff(want, got, equal, cmpopts.EquateEmpty(), forwards); diff != "" {
		t.Errorf("Parse(%q) (-want +got):\n%s", args, diff)
	}
}

func TestOptions(t *testing.T) {
	longDomain := strings.Repeat("abcdefg.", 31) + "abcde"
	tests := []struct {
		args string
		want func(o *daemon.Options)
	}{
		{"", nil},
		{"-d", func(o *daemon.Options) { o.Level = daemon.LevelDebug }},
		{"--trace", func(o *daemon.Options) { o.Level = daemon.LevelTrace }},
		{"--trace -d", func(o *daemon.Options) { o.Level = daemon.LevelTrace }},
		{"-d -q", func(o *daemon.Options) { o.Level = daemon.LevelQuiet }},
		{"-q -d", func(o *daemon.Options) { o.Level = daemon.LevelDebug }},
		{"--trace -q", func(o *daemon.Options) { o.Level = daemon.LevelQuiet }},
		{"-e", nil},
		{"-f 1", func(o *daemon.Options) { o.Target = daemon.Target{PID: 1} }},
		{"-l /tmp/log", func(o *daemon.Options) { o.LogFile = "/tmp/log" }},
		{"--log-size 65536", func(o *daemon.Options) { o.LogSize = 65536 }},
		{"--log-size 0xa000", func(o *daemon.Options) { o.LogSize = 40960 }},
		{"--log-size 0200000", func(o *daemon.Options) { o.LogSize = 65536 }},
		{"--runas 107", func(o *daemon.Options) { o.RunAs = &daemon.Identity{UID: 107, GID: 107} }},
		{"--runas 0", func(o *daemon.Options) { o.RunAs = &daemon.Identity{UID: 0, GID: 0} }},
		{"--runas 0x10:8", func(o *daemon.Options) { o.RunAs = &daemon.Identity{UID: 16, GID: 8} }},
		{"--runas root", func(o *daemon.Options) { o.RunAs = &daemon.Identity{UID: 0, GID: 0} }},
		{"--runas root:root", func(o *daemon.Options) { o.RunAs = &daemon.Identity{UID: 0, GID: 0} }},
		{"-p a -p b", func(o *daemon.Options) { o.PcapFile = "b" }},
		{"-P /tmp/pid", func(o *daemon.Options) { o.PIDFile = "/tmp/pid" }},

		{"-m 1500", func(o *daemon.Options) { o.Net.MTU = 1500 }},
		{"-m0", func(o *daemon.Options) { o.Net.MTU = 0 }},
		{"--mtu=65521", func(o *daemon.Options) { o.Net.MTU = 65521 }},
		{"--mtu=0x5dc", func(o *daemon.Options) { o.Net.MTU = 1500 }},
		{"--mtu=02734", func(o *daemon.Options) { o.Net.MTU = 1500 }},
		{"-a 10.0.2.100", func(o *daemon.Options) { o.Net.Address4 = addr("10.0.2.100") }},
		{"-a 10.0.2.100/24", func(o *daemon.Options) { o.Net.Address4, o.Net.PrefixLen4 = addr("10.0.2.100"), 24 }},
		{"-a 10.0.2.100/24 -a 10.0.2.101", func(o *daemon.Options) { o.Net.Address4 = addr("10.0.2.101") }},
		{"-a 10.0.2.100 -n 24", func(o *daemon.Options) { o.Net.Address4, o.Net.PrefixLen4 = addr("10.0.2.100"), 24 }},
		{"-n 255.255.255.0 -a 10.0.2.100", func(o *daemon.Options) { o.Net.Address4, o.Net.PrefixLen4 = addr("10.0.2.100"), 24 }},
		{"-n 24 -n 0 -a 10.0.2.100", func(o *daemon.Options) { o.Net.Address4, o.Net.PrefixLen4 = addr("10.0.2.100"), 24 }},
		{"-n 0 -a 10.0.2.100/8", func(o *daemon.Options) { o.Net.Address4, o.Net.PrefixLen4 = addr("10.0.2.100"), 8 }},
		{"-a fd00::2/80 -n 24", func(o *daemon.Options) { o.Net.Address6, o.Net.PrefixLen4 = addr("fd00::2"), 24 }},
		{
			"-a 10.0.2.1 -a fd00::2 -a 10.0.2.2",
			func(o *daemon.Options) { o.Net.Address4, o.Net.Address6 = addr("10.0.2.2"), addr("fd00::2") },
		},
		{"-M 02:00:00:00:0a:FF", func(o *daemon.Options) { o.Net.OurMAC = [6]byte{2, 0, 0, 0, 10, 255} }},
		{"--ns-mac-addr 02:00:00:00:00:01", func(o *daemon.Options) { o.Net.NsMAC = &[6]byte{2, 0, 0, 0, 0, 1} }},
		{"-g 10.0.2.2 -g fe80::1", func(o *daemon.Options) { o.Net.Gateway4, o.Net.Gateway6 = addr("10.0.2.2"), addr("fe80::1") }},
		{"-i lo", func(o *daemon.Options) { o.Net.Interface = "lo" }},
		{"-o 127.0.0.1 -o fd00::1", func(o *daemon.Options) { o.Net.Outbound4, o.Net.Outbound6 = addr("127.0.0.1"), addr("fd00::1") }},
		{
			"--outbound-if4 nosuch0 --outbound-if6 nosuch1",
			func(o *daemon.Options) { o.Net.OutboundIf4, o.Net.OutboundIf6 = "nosuch0", "nosuch1" },
		},
		{"-I abcdefghijklmno", func(o *daemon.Options) { o.Net.NsIfName = "abcdefghijklmno" }},
		{"--config-net", func(o *daemon.Options) { o.Net.ConfigNet = true }},
		{"--no-copy-routes --no-copy-addrs --config-net", func(o *daemon.Options) {
			o.Net.ConfigNet, o.Net.NoCopyRoutes, o.Net.NoCopyAddrs = true, true, true
		}},
		{"-4", func(o *daemon.Options) { o.Net.V6 = false }},
		{"-6", func(o *daemon.Options) { o.Net.V4 = false }},
		{"-4 -6", func(o *daemon.Options) { o.Net.V4 = false }},
		{"-64", func(o *daemon.Options) { o.Net.V6 = false }},

		{"-D 1.1.1.1 -D ::1", func(o *daemon.Options) { o.Net.DNS = []netip.Addr{addr("1.1.1.1"), addr("::1")} }},
		{"-D 1.1.1.1 -D 1.1.1.2 -D 1.1.1.3 -D 1.1.1.4 -D fd00::1", func(o *daemon.Options) {
			o.Net.DNS = []netip.Addr{addr("1.1.1.1"), addr("1.1.1.2"), addr("1.1.1.3"), addr("fd00::1")}
		}},
		{"--dns-forward 10.0.2.3 --dns-host 127.0.0.53 -D 1.1.1.1 -D none", func(o *daemon.Options) { o.Net.NoDNS = true }},
		{"-D none -D 1.1.1.1", func(o *daemon.Options) { o.Net.DNS = []netip.Addr{addr("1.1.1.1")} }},
		{
			"--dns-forward 10.0.2.3 --dns-forward fd00::3",
			func(o *daemon.Options) { o.Net.DNSForward4, o.Net.DNSForward6 = addr("10.0.2.3"), addr("fd00::3") },
		},
		{
			"--dns-host 127.0.0.53 --dns-host ::1",
			func(o *daemon.Options) { o.Net.DNSHost4, o.Net.DNSHost6 = addr("127.0.0.53"), addr("::1") },
		},
		{"-S a.example -S b.example", func(o *daemon.Options) { o.Net.Search = []string{"a.example", "b.example"} }},
		{"-S a.example -S none", func(o *daemon.Options) { o.Net.NoSearch = true }},
		{"-S a -S b -S c -S d -S e -S f -S g", func(o *daemon.Options) { o.Net.Search = []string{"a", "b", "c", "d", "e", "f"} }},
		{"-S " + longDomain, func(o *daemon.Options) { o.Net.Search = []string{longDomain} }},
		{"--dhcp-dns --dhcp-search", func(o *daemon.Options) { o.Net.SendDNS, o.Net.SendSearch = true, true }},
		{"-H guest", func(o *daemon.Options) { o.Net.Hostname = "guest" }},
		{"--fqdn guest.example.", func(o *daemon.Options) { o.Net.FQDN = "guest.example." }},
		{"--no-tcp --no-udp", func(o *daemon.Options) { o.TCP, o.UDP = false, false }},
		{"--no-icmp", func(o *daemon.Options) { o.ICMP, o.Net.NoNDP = false, true }},
		{"--no-dhcp --no-dhcpv6 --no-ndp --no-ra", func(o *daemon.Options) {
			o.Net.NoDHCP, o.Net.NoDHCPv6, o.Net.NoNDP, o.Net.NoRA = true, true, true, true
		}},
		{"--map-host-loopback 10.0.2.2", func(o *daemon.Options) { o.Net.MapHostLoopback4 = addr("10.0.2.2") }},
		{"--map-host-loopback fd00::2 --map-host-loopback none", func(o *daemon.Options) { o.Net.NoMapGW = true }},
		{"--no-map-gw", func(o *daemon.Options) { o.Net.NoMapGW = true }},
		{
			"--map-guest-addr 169.254.1.2 --map-guest-addr fd00::9",
			func(o *daemon.Options) {
				o.Net.MapGuestAddr4, o.Net.MapGuestAddr6 = addr("169.254.1.2"), addr("fd00::9")
			},
		},

		{"-t none -u none -T none -U none", nil},
		{"-t none -t 8080:80 -u 5353", nil},
		{"--freebind", func(o *daemon.Options) { o.FreeBind = true }},
		{"--splice-only", func(o *daemon.Options) { o.Net.NoInterface, o.Bypass.Only = true, true }},
		{"--no-splice", func(o *daemon.Options) { o.Bypass = fwd.Bypass{} }},
		{"--host-lo-to-ns-lo", func(o *daemon.Options) {
			o.Bypass = fwd.Bypass{Inbound: true, SameLoopback: true}
		}},

		{"--netns app", func(o *daemon.Options) {
			o.Foreground = false
			o.Target = daemon.Target{Netns: "/run/netns/app", NetnsOnly: true}
		}},
		{"--netns ./app --userns /proc/1/ns/user", func(o *daemon.Options) {
			o.Foreground = false
			o.Target = daemon.Target{Netns: "./app", Userns: "/proc/1/ns/user"}
		}},
		{"--userns u --netns-only", func(o *daemon.Options) { o.Target.NetnsOnly = true }},
		{"--netns-only --userns u", func(o *daemon.Options) { o.Target.Userns = "u" }},
		{"--no-netns-quit 42", func(o *daemon.Options) {
			o.Foreground = false
			o.Target = daemon.Target{PID: 42, NoNetnsQuit: true}
		}},
		{"-- 042", func(o *daemon.Options) { o.Foreground, o.Target = false, daemon.Target{PID: 42} }},
		{"--no-pidns ls -l", func(o *daemon.Options) { o.Target.NoPIDNS, o.Target.Command = true, []string{"ls", "-l"} }},
		{"42 43", func(o *daemon.Options) { o.Target.Command = []string{"42", "43"} }},
		{"-- -f", func(o *daemon.Options) { o.Target.Command = []string{"-f"} }},
		{"__complete x", func(o *daemon.Options) { o.Target.Command = []string{"__complete", "x"} }},
		{"help", func(o *daemon.Options) { o.Target.Command = []string{"help"} }},

		{"--api-socket /run/api.sock", func(o *daemon.Options) { o.APISocket = "/run/api.sock" }},
		{"--no-vnet-hdr", func(o *daemon.Options) { o.Offload.VnetHdr = false }},
		{
			"--no-csum-offload --no-tso --no-uso",
			func(o *daemon.Options) { o.Offload.Checksum, o.Offload.TSO, o.Offload.USO = false, false, false },
		},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			checkOptions(t, strings.Fields(tt.args), wanted(tt.want))
		})
	}
}

func TestSearchListInOneArgument(t *testing.T) {
	checkOptions(t, []string{"-S", "a.example  b.example"}, wanted(func(o *daemon.Options) {
		o.Net.Search = []string{"a.example", "b.example"}
	}))
}

func TestEmptyHostnameIsNone(t *testing.T) {
	checkOptions(t, []string{"-H", ""}, wanted(nil))
}

func TestOpenDescriptorIsAccepted(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	args := []string{"-F", strconv.Itoa(int(f.Fd()))}
	checkOptions(t, args, wanted(nil))
	var stderr strings.Builder
	if _, err := Parse(args, &stderr); err != nil || stderr.String() != "--fd: no effect, it is for passt\n" {
		t.Errorf("Parse(%q): error %v, warning %q, want that it has no effect", args, err, &stderr)
	}
}

// TestReparse holds that the daemon, which has the front's command line but not
// its descriptors, comes to the same options and repeats no warning.
func TestReparse(t *testing.T) {
	args := []string{"-F", "987654", "--stderr", "-m", "0", "-t", "8080", "--", "ls"}
	if _, err := Parse(args, io.Discard); err == nil {
		t.Errorf("Parse(%q) accepts a descriptor that is not open", args)
	}
	var stderr strings.Builder
	got, err := reparse(args, &stderr)
	if err != nil || stderr.Len() != 0 {
		t.Fatalf("reparse(%q) = %v, warnings %q, want neither", args, err, stderr.String())
	}
	want, err := Parse(args[2:], io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("reparse(%q) (-first +second):\n%s", args, diff)
	}
}
