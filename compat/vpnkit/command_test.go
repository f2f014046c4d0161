package vpnkit

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/packet"
)

// result is what a command line came to.
type result struct {
	exit           int
	stdout, stderr string
	hub            *service.Hub // nil: nothing was to be served
}

func runWith(args ...string) (r result) {
	var stdout, stderr bytes.Buffer
	r.exit = Program{
		Version: "v1.2.3", Stdout: &stdout, Stderr: &stderr,
		Serve: func(h *service.Hub) int { r.hub = h; return 7 },
	}.Run(args)
	r.stdout, r.stderr = stdout.String(), stderr.String()
	return r
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name, args     string
		exit           int
		stdout, stderr string // as they start
	}{
		{"version", "--version", 0, "v1.2.3\n", ""},
		{"version behind others", "--mtu 1500 --ethernet /x --version", 0, "v1.2.3\n", ""},
		{"help", "--help", 0, "Usage: vpnkit --ethernet PATH", ""},
		{"plain help", "--help=plain", 0, "Usage: vpnkit --ethernet PATH", ""},
		{"nothing", "", 0, "", "Please provide an --ethernet argument\n"},
		{"no socket", "--mtu 1500", 0, "", "Please provide an --ethernet argument\n"},
		{"RootlessKit", "--ethernet /x --mtu 65520", 7, "", ""},
		{"RootlessKit without loopback", "--ethernet /x --mtu 1500 --host-ip 0.0.0.0", 7, "", ""},
		{"values attached", "--ethernet=/x --mtu=1500", 7, "", ""},
		{"prefixes", "--eth /x --gateway-i 192.168.65.7 --gc 5", 7, "", ""},
		{"no effect", "--ethernet /x --max-connections 5 --port-max-idle-time 3 --gc-compact-interval 9", 7, "", ""},
		{"ambiguous prefix", "--ethernet /x --host y", 124, "", "vpnkit: option '--host' is ambiguous"},
		{"unknown option", "--foo", 124, "", "vpnkit: unrecognized option '--foo'"},
		{"operand", "--ethernet /x y", 124, "", `vpnkit: unexpected argument "y"`},
		{"missing value", "--ethernet", 124, "", "vpnkit: option '--ethernet' requires an argument"},
		{"small MTU", "--mtu 67", 124, "", `vpnkit: option '--mtu': "67": not a number from 68 to 65521`},
		{"large MTU", "--mtu 65522", 124, "", `vpnkit: option '--mtu': "65522": not a number from 68 to 65521`},
		{"no number", "--mtu 1500x", 124, "", `vpnkit: option '--mtu': "1500x"`},
		{"IPv6", "--host-ip ::1", 124, "", `vpnkit: option '--host-ip': "::1": not an IPv4 address for a host`},
		{"no gateway", "--gateway-ip 0.0.0.0", 124, "", `vpnkit: option '--gateway-ip': "0.0.0.0": not an IPv4`},
		{"multicast MAC", "--server-macaddr 01:00:00:00:00:01", 124, "", `vpnkit: option '--server-macaddr': "01:00:00:00:00:01": not the MAC`},
		{"long MAC", "--server-macaddr 02:00:00:00:00:01:02:03", 124, "", `vpnkit: option '--server-macaddr': "02:00`},
		{"range upside down", "--ethernet /x --lowest-ip 192.168.65.9 --highest-ip 192.168.65.8", 124, "", "--highest-ip 192.168.65.8 is below --lowest-ip 192.168.65.9"},
		{"one address twice", "--ethernet /x --gateway-ip 192.168.65.2", 124, "", "--gateway-ip and --host-ip are both 192.168.65.2"},
		{"missing file", "--ethernet /x --dhcp-path /does/not/exist", 124, "", "open /does/not/exist: no such file or directory"},
		{"not supported", "--ethernet /x --port /y", 124, "", `vpnkit: option '--port': "/y": not supported`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := runWith(strings.Fields(tt.args)...)
			if r.exit != tt.exit || !strings.HasPrefix(r.stdout, tt.stdout) || !strings.HasPrefix(r.stderr, tt.stderr) {
				t.Errorf("status %d, stdout %q, stderr %q", r.exit, r.stdout, r.stderr)
			}
			if (tt.stdout == "") != (r.stdout == "") || (tt.stderr == "") != (r.stderr == "") || (r.hub != nil) != (tt.exit == 7) {
				t.Errorf("stdout %q, stderr %q, served %v", r.stdout, r.stderr, r.hub != nil)
			}
		})
	}
}

// TestUnsupported: the options that there are not are refused by name, each of them.
func TestUnsupported(t *testing.T) {
	for _, name := range unsupported {
		r := runWith("--ethernet", "/x", "--"+name, "v")
		if want := "vpnkit: option '--" + name + `': "v": not supported`; r.exit != 124 || !strings.HasPrefix(r.stderr, want) {
			t.Errorf("status %d, %q, want %q", r.exit, r.stderr, want)
		}
		if strings.Contains(runWith("--help").stdout, "--"+name+" ") {
			t.Errorf("the help text offers --%s", name)
		}
	}
}

func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dhcp.json")
	if err := os.WriteFile(file, []byte(`{"searchDomains":["a.example","b.example"],"domainName":"example"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run{settings: newSettings()}
	s := r.settings
	for option, text := range map[string]string{
		"mtu": "9000", "host-ip": "10.0.0.2", "gateway-ip": "10.0.0.1", "lowest-ip": "10.0.0.3", "highest-ip": "10.0.0.9",
		"server-macaddr": "02:00:00:00:00:01", "host-names": "a, b,,c", "gateway-names": "", "vm-names": "me", "domain": "x",
		"hosts": "/h", "dhcp-path": file, "listen-backlog": "5",
	} {
		if err := r.command().Flags().Set(option, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.finish(); err != nil {
		t.Fatal(err)
	}
	want := network{
		mtu: 9000, host: addr("10.0.0.2"), gateway: addr("10.0.0.1"), lowest: addr("10.0.0.3"), highest: addr("10.0.0.9"),
		serverMAC: packet.MAC{2, 0, 0, 0, 0, 1},
	}
	if s.network != want || s.backlog != 5 {
		t.Errorf("%+v, backlog %d, want %+v", s.network, s.backlog, want)
	}
	if n := &s.names; !slices.Equal(n.host, []string{"a", "b", "c"}) || n.gateway != nil || !slices.Equal(n.vm, []string{"me"}) || n.hostsFile != "/h" {
		t.Errorf("names %+v", n)
	}
	c := s.config(guest{mac: packet.MAC{2, 9}, ip: addr("10.0.0.5")}, addr("10.0.0.53"))
	if c.Link.Domain != "example" || !slices.Equal(c.Link.Search, []string{"a.example", "b.example"}) {
		t.Errorf("domain %q, search %q: the file counts", c.Link.Domain, c.Link.Search)
	}
	if c.V4.Guest != addr("10.0.0.5") || c.V4.PrefixLen != 28 || c.V4.DNSHost != addr("10.0.0.53") || c.MTU != 9000 || !c.Link.Quiet {
		t.Errorf("configuration %+v", c)
	}
}

func TestReadDHCPFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dhcp.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readDHCP(file); err == nil {
		t.Error("half a file is accepted")
	}
}

func TestDebug(t *testing.T) {
	for _, tt := range []struct {
		debug bool
		args  string
		want  string
	}{{false, "--ethernet /x", "INFO"}, {true, "--ethernet /x", "DEBUG"}, {false, "--ethernet /x --debug", "DEBUG"}} {
		p := Program{Debug: tt.debug, Serve: func(h *service.Hub) int {
			if h.Level.String() != tt.want {
				t.Errorf("%+v: level %v", tt, h.Level)
			}
			return 0
		}}
		p.Run(strings.Fields(tt.args))
	}
}
