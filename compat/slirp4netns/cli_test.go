package slirp4netns

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/netcfg/attach"
)

func TestMain(m *testing.M) {
	if exit, handled := attach.Reentry(); handled {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

// result is what one run of the program did.
type result struct {
	exit           int
	stdout, stderr string
	service        *service.Service // nil: it came to nothing
}

// program runs the command line up to the point where the service would begin.
func program(args ...string) (res result) {
	var stdout, stderr bytes.Buffer
	p := Program{Release: "v9", Stdout: &stdout, Stderr: &stderr, Serve: func(s *service.Service) int {
		res.service = s
		return 0
	}}
	res.exit = p.Run(args)
	res.stdout, res.stderr = stdout.String(), stderr.String()
	return res
}

// parse gives what the words ask for.
func parse(t *testing.T, args ...string) *settings {
	t.Helper()
	r := &run{Program: Program{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}}
	r.settings = newSettings(r.Stdout)
	if err := r.parse(r.command(), args); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return r.settings
}

// usual is what no option changes.
func usual(change func(*settings)) *settings {
	s := newSettings(nil)
	s.network = network{netPrefix("10.0.2.0/24")}
	s.pid, s.ifName = 42, "tap0"
	if change != nil {
		change(s)
	}
	return s
}

var compareSettings = cmp.Options{
	cmp.AllowUnexported(settings{}, source{}, network{}), cmpopts.IgnoreFields(settings{}, "stdout"), netipValues,
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, args string
		want       func(*settings)
	}{
		{"nothing", "42 tap0", nil},
		{"options behind operands", "42 tap0 -c", func(s *settings) { s.configure = true }},
		{"options between operands", "42 -c tap0", func(s *settings) { s.configure = true }},
		{"cluster", "-cr 3 42 tap0", func(s *settings) { s.configure, s.readyFD = true, 3 }},
		{"cluster of switches", "-c6 42 tap0", func(s *settings) { s.configure, s.ipv6 = true, true }},
		{"abbreviations", "--conf --disable-host 42 tap0", func(s *settings) { s.configure, s.disableHostLoopback = true, true }},
		{"=", "--mtu=65521 42 tap0", func(s *settings) { s.mtu = 65521 }},
		{"smallest MTU", "-m 1 42 tap0", func(s *settings) { s.mtu = 1 }},
		{"the last one wins", "-m 1400 --mtu 1300 42 tap0", func(s *settings) { s.mtu = 1300 }},
		{"descriptors", "-e 0 --exit-fd 3 -r4 42 tap0", func(s *settings) { s.exitFD, s.readyFD = 3, 4 }},
		{"--", "-c -- 42 tap0", func(s *settings) { s.configure = true }},
		{"deprecated names", "--no-host-loopback --create-sandbox 42 tap0", func(s *settings) { s.disableHostLoopback, s.sandbox = true, true }},
		{"switches", "--enable-sandbox --enable-seccomp --disable-dns 42 tap0", func(s *settings) {
			s.sandbox, s.seccomp, s.disableDNS = true, true, true
		}},
		{"API socket", "-a /x/y 42 tap0", func(s *settings) { s.apiSocket = "/x/y" }},
		{"network", "--cidr 192.168.128.0/25 42 tap0", func(s *settings) {
			s.cidr, s.network = "192.168.128.0/25", network{netPrefix("192.168.128.0/25")}
		}},
		{"large network", "--cidr 128.0.0.0/1 42 tap0", func(s *settings) { s.cidr, s.network = "128.0.0.0/1", network{netPrefix("128.0.0.0/1")} }},
		{"sources", "--outbound-addr 192.0.2.1 --outbound-addr6 2001:db8::1 42 tap0", func(s *settings) {
			s.outbound = [2]source{{true, "192.0.2.1", netAddr("192.0.2.1")}, {true, "2001:db8::1", netAddr("2001:db8::1")}}
		}},
		{"source by interface", "--outbound-addr lo 42 tap0", func(s *settings) { s.outbound[0] = source{true, "lo", netAddr("127.0.0.1")} }},
		{"MAC", "-c --macaddress 02:aB:00:0:5:6 42 tap0", func(s *settings) {
			s.configure, s.macGiven, s.mac, s.macAddress = true, true, "02:aB:00:0:5:6", &[6]byte{2, 0xab, 0, 0, 5, 6}
		}},
		{"path", "--netns-type path " + dir + " tap0", func(s *settings) { s.pid, s.netnsType, s.path = 0, "path", dir }},
		{"unknown type is a path", "--netns-type=foo " + dir + " tap0", func(s *settings) { s.pid, s.netnsType, s.path = 0, "foo", dir }},
		{"user namespace", "--userns-path=" + dir + " 42 tap0", func(s *settings) { s.usernsPath = dir }},
		{"descriptor of a tap", "--netns-type tapfd 7", func(s *settings) { s.pid, s.ifName, s.netnsType, s.tapFD = 0, "", "tapfd", 7 }},
		{"descriptor of a tap, with -c", "-c --netns-type tapfd 7 x", func(s *settings) {
			s.configure, s.pid, s.ifName, s.netnsType, s.tapFD = true, 0, "", "tapfd", 7
		}},
		{"long interface name", "42 tap0123456789abcdef", func(s *settings) { s.ifName = "tap0123456789ab" }},
		{"too many operands", "42 tap0 more", nil},
		{"bess", "--target-type=bess /x/y", func(s *settings) { s.pid, s.ifName, s.targetType, s.path = 0, "", "bess", "/x/y" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(usual(tt.want), parse(t, strings.Fields(tt.args)...), compareSettings); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

// TestWords has values that scripts come by: the words are not split at blanks here.
func TestWords(t *testing.T) {
	mac := &[6]byte{2, 0xab, 0, 0, 5, 6}
	withMAC := func(text string) func(*settings) {
		return func(s *settings) { s.configure, s.macGiven, s.mac, s.macAddress = true, true, text, mac }
	}
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		want func(*settings)
	}{
		{[]string{"--mtu= 1400", "42", "tap0"}, func(s *settings) { s.mtu = 1400 }},
		{[]string{"-m", "\t1400", "42", "tap0"}, func(s *settings) { s.mtu = 1400 }},
		{[]string{"--mtu=+1400", "42", "tap0"}, func(s *settings) { s.mtu = 1400 }},
		{[]string{"--mtu=01400", "42", "tap0"}, func(s *settings) { s.mtu = 1400 }},
		{[]string{"--exit-fd= 5", "--ready-fd=\n6", "42", "tap0"}, func(s *settings) { s.exitFD, s.readyFD = 5, 6 }},
		{[]string{"-e", "-0", "-r", "+6", "42", "tap0"}, func(s *settings) { s.exitFD, s.readyFD = 0, 6 }},
		{[]string{"    42", "tap0"}, nil},
		{[]string{"+42", "tap0"}, nil},
		{[]string{"0042", "tap0"}, nil},
		{[]string{"--netns-type=", dir, "tap0"}, func(s *settings) { s.pid, s.netnsType, s.path = 0, "path", dir }},
		{[]string{"--netns-type=tapfd", " 7"}, func(s *settings) { s.pid, s.ifName, s.netnsType, s.tapFD = 0, "", "tapfd", 7 }},
		{[]string{"--api-socket=", "42", "tap0"}, nil},
		{[]string{"-c", "--macaddress= 02:ab:00:00:05:06 ", "42", "tap0"}, withMAC(" 02:ab:00:00:05:06 ")},
		{[]string{"-c", "--macaddress=02-AB-00-00-05-06", "42", "tap0"}, withMAC("02-AB-00-00-05-06")},
	} {
		t.Run(fmt.Sprintf("%q", tt.args), func(t *testing.T) {
			if diff := cmp.Diff(usual(tt.want), parse(t, tt.args...), compareSettings); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

// TestBadWords has values that upstream refuses, and those that it takes for others.
func TestBadWords(t *testing.T) {
	const (
		badMTU = "MTU must be a positive integer (< 65522)\n"
		badPID = "PID must be a positive integer\n"
		noPath = "existing path expected when --netns-type=path: No such file or directory\n"
		badMAC = "\"%s\" is an invalid MAC address.\n" +
			"macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':')."
	)
	number := map[string]string{"--mtu=%s": badMTU, "--exit-fd=%s": "exit-fd must be a non-negative integer\n", "--ready-fd=%s": "ready-fd must be a non-negative integer\n"}
	for _, value := range []string{
		"", " ", "5 ", "5\n", "0x10", "5.0", "1e3", "1_0", "- 5", "+-5", "\u00a05", "2147483648", "4294967297", "99999999999999999999", "-1",
	} {
		for option, want := range number {
			expectError(t, want, fmt.Sprintf(option, value), "42", "tap0")
		}
		expectError(t, badPID, "--", value, "tap0")
		expectError(t, "TAPFD must a file descriptor\n", "--netns-type=tapfd", "--", value)
	}
	expectError(t, noPath, "--netns-type=", "42", "tap0")
	expectError(t, noPath, "--netns-type=path", "", "tap0")
	expectError(t, "userns path doesn't exist: \n", "--userns-path=", "42", "tap0")
	expectError(t, "--target-type must be either \"netns\" or \"bess\"\n", "--target-type=", "42", "tap0")
	expectError(t, "--macaddr cannot be specified when --configure or -c is not specified\n", "--macaddress=", "42", "tap0")
	for _, mac := range []string{"", " ", "0xaa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:1ff", "aa:bb:cc:dd:ee:", "::::::", "+a:b:c:d:e:f", "aa:bb:cc:dd:ee"} {
		expectError(t, fmt.Sprintf(badMAC, mac), "-c", "--macaddress="+mac, "42", "tap0")
	}
	for _, cidr := range []string{
		"", " 10.0.2.0/24", "10.0.2.0/24 ", "10.0.2.0/+24", "10.0.2.0/024", "10.2/24", "10.0.2.0/24x", "0x0a.0.2.0/24", "10.0.2.0/-1", "10.0.2.0/999",
	} {
		expectError(t, "invalid CIDR: "+cidr+"\n", "--cidr="+cidr, "42", "tap0")
	}
	expectError(t, "invalid network address: 010.0.2.0\n", "--cidr=010.0.2.0/24", "42", "tap0")
}

// expectError runs args, which have to end with status 1 and stderr.
func expectError(t *testing.T, stderr string, args ...string) {
	t.Helper()
	if got := program(args...); got.exit != 1 || got.stderr != stderr {
		t.Errorf("%q: status %d, stderr %q, want 1, %q", args, got.exit, got.stderr, stderr)
	}
}

// TestCallers has the command lines of the programs that run slirp4netns.
func TestCallers(t *testing.T) {
	ns := filepath.Join(t.TempDir(), "netns-1")
	if err := os.WriteFile(ns, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	podman := func(more func(*settings)) func(*settings) {
		return func(s *settings) {
			s.disableHostLoopback, s.mtu, s.sandbox, s.seccomp, s.ipv6, s.configure = true, 65520, true, true, true, true
			more(s)
		}
	}
	const common = "--disable-host-loopback --mtu=65520 --enable-sandbox --enable-seccomp "
	for _, tt := range []struct {
		name, args string
		want       func(*settings)
	}{
		{"Podman 4.0 to 4.5", common + "--enable-ipv6 -c -e 3 -r 4 --netns-type=path " + ns + " tap0", podman(func(s *settings) {
			s.exitFD, s.readyFD, s.netnsType, s.path, s.pid = 3, 4, "path", ns, 0
		})},
		{
			"Podman 4.0 to 4.5 with all options",
			common + "--cidr=10.0.3.0/24 --enable-ipv6 --outbound-addr=127.0.0.1 --outbound-addr6=::1 -c -e 3 -r 4 " +
				"--api-socket /run/user/1000/libpod/tmp/ctr.net 42 tap0",
			podman(func(s *settings) {
				s.exitFD, s.readyFD, s.apiSocket, s.cidr = 3, 4, "/run/user/1000/libpod/tmp/ctr.net", "10.0.3.0/24"
				s.network = network{netPrefix("10.0.3.0/24")}
				s.outbound = [2]source{{true, "127.0.0.1", netAddr("127.0.0.1")}, {true, "::1", netAddr("::1")}}
			}),
		},
		{"Podman 4.6 and later, Buildah", common + "--enable-ipv6 -c -r 3 -e 4 --netns-type=path " + ns + " tap0", podman(func(s *settings) {
			s.readyFD, s.exitFD, s.netnsType, s.path, s.pid = 3, 4, "path", ns, 0
		})},
		{"Podman's rootless network", common + "--enable-ipv6 -c -r 3 --netns-type=path " + ns + " tap0", podman(func(s *settings) {
			s.readyFD, s.netnsType, s.path, s.pid = 3, "path", ns, 0
		})},
		{"older Buildah", "--mtu 65520 -r 3 -c 42 tap0", func(s *settings) { s.mtu, s.readyFD, s.configure = 65520, 3, true }},
		{
			"RootlessKit 1", "--mtu 65520 -r 3 --disable-host-loopback --cidr 10.0.2.0/24 --api-socket /x/.s4nn.sock " +
				"--enable-sandbox --enable-seccomp --enable-ipv6 42 tap0",
			func(s *settings) {
				s.mtu, s.readyFD, s.disableHostLoopback, s.apiSocket = 65520, 3, true, "/x/.s4nn.sock"
				s.sandbox, s.seccomp, s.ipv6 = true, true, true
			},
		},
		{
			"RootlessKit 2 and 3, detached", "--mtu 65520 -r 3 --enable-seccomp --userns-path=/proc/self/ns/user --netns-type=path " + ns + " tap0",
			func(s *settings) {
				s.mtu, s.readyFD, s.seccomp, s.usernsPath, s.netnsType, s.path, s.pid = 65520, 3, true, "/proc/self/ns/user", "path", ns, 0
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(usual(tt.want), parse(t, strings.Fields(tt.args)...), compareSettings); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

// TestErrors provokes each error of the command line. The texts are those that callers
// search for.
func TestErrors(t *testing.T) {
	long := strings.Repeat("x", maxSocketPath)
	for _, tt := range []struct {
		args  string
		want  string // all of standard error
		usage bool
	}{
		{"-e foo 1 t", "exit-fd must be a non-negative integer\n", true},
		{"-e -1 1 t", "exit-fd must be a non-negative integer\n", true},
		{"-e 3x 1 t", "exit-fd must be a non-negative integer\n", true},
		{"--ready-fd=foo 1 t", "ready-fd must be a non-negative integer\n", true},
		{"--ready-fd=99999999999 1 t", "ready-fd must be a non-negative integer\n", true},
		{"-m foo 1 t", "MTU must be a positive integer (< 65522)\n", true},
		{"-m 0 1 t", "MTU must be a positive integer (< 65522)\n", true},
		{"-m -5 1 t", "MTU must be a positive integer (< 65522)\n", true},
		{"-m 65522 1 t", "MTU must be a positive integer (< 65522)\n", true},
		{"--x 1 t", "slirp4netns: unrecognized option '--x'\n", true},
		{"-Z 1 t", "slirp4netns: invalid option -- 'Z'\n", true},
		{"--mtu", "slirp4netns: option '--mtu' requires an argument\n", true},
		{"-m", "slirp4netns: option requires an argument -- 'm'\n", true},
		{"--configure=1 1 t", "slirp4netns: option '--configure' doesn't allow an argument\n", true},
		{"--outbound=x 1 t", "slirp4netns: option '--outbound=x' is ambiguous; possibilities: '--outbound-addr' '--outbound-addr6'\n", true},
		{"", "", true},
		{"1", "", true},
		{"--netns-type=path /", "", true},
		{"--netns-type=tapfd", "", true},
		{"--target-type=bess", "", true},
		{"foo t", "PID must be a positive integer\n", true},
		{"0 t", "PID must be a positive integer\n", true},
		{"12x t", "PID must be a positive integer\n", true},
		{"--netns-type=path /nowhere t", "existing path expected when --netns-type=path: No such file or directory\n", true},
		{"--userns-path=/nowhere 1 t", "userns path doesn't exist: /nowhere\n", true},
		{"--netns-type=tapfd foo", "TAPFD must a file descriptor\n", true},
		{"--netns-type=tapfd -- -1", "TAPFD must a file descriptor\n", true},
		{"--macaddress=aa:bb:cc:dd:ee:ff 1 t", "--macaddr cannot be specified when --configure or -c is not specified\n", true},
		{"--target-type=foo 1 t", "--target-type must be either \"netns\" or \"bess\"\n", true},
		{"--target-type=bess -c /x", "--configure conflicts with --target-type=bess\n", true},
		{"--target-type=bess --netns-type=pid /x", "--netns-type conflicts with --target-type=bess\n", true},
		{"--target-type=bess --userns-path=/ /x", "--userns-path conflicts with --target-type=bess\n", true},
		{"--target-type=bess /x y", "too many arguments\n", true},
		{"--cidr=24 1 t", "invalid CIDR: 24\n", false},
		{"--cidr=foo 1 t", "invalid CIDR: foo\n", false},
		{"--cidr=10.0.2.0 1 t", "invalid CIDR: 10.0.2.0\n", false},
		{"--cidr= 1 t", "invalid CIDR: \n", false},
		{"--cidr=10.0.2.0/ 1 t", "invalid CIDR: 10.0.2.0/\n", false},
		{"--cidr=fd00::/64 1 t", "invalid CIDR: fd00::/64\n", false},
		{"--cidr=10.0.300.0/24 1 t", "invalid network address: 10.0.300.0\n", false},
		{"--cidr=10.0.2.0/0 1 t", "prefix length needs to be 1-25\n", false},
		{"--cidr=10.0.2.0/26 1 t", "prefix length needs to be 1-25\n", false},
		{"--cidr=10.0.2.1/26 1 t", "prefix length needs to be 1-25\n", false},
		{"--cidr=10.0.2.100/24 1 t", "CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24\n", false},
		{"--outbound-addr=foo 1 t", "outbound-addr has to be valid ipv4 address or interface name.", false},
		{"--outbound-addr= 1 t", "outbound-addr has to be valid ipv4 address or interface name.", false},
		{"--outbound-addr=::1 1 t", "outbound-addr has to be valid ipv4 address or interface name.", false},
		{"--outbound-addr6=127.0.0.1 1 t", "outbound-addr has to be valid ipv4 address or iterface name.", false},
		{
			"-c --macaddress=zz 1 t", "\"zz\" is an invalid MAC address.\n" +
				"macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':').", false,
		},
		{
			"-c --macaddress=1:2:3:4:5:6:7 1 t", "\"1:2:3:4:5:6:7\" is an invalid MAC address.  Is it too long?\n" +
				"macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':').", false,
		},
		{"--target-type=bess " + long, "the specified BESS socket path is too long (>= 108)\nchild failed(1)\n", false},
		{"2147483647 t", "/proc/2147483647/ns/net: No such file or directory\nchild failed(1)\n", false},
		{"--netns-type=path /dev/null t", "setns(CLONE_NEWNET): Invalid argument\nchild failed(1)\n", false},
	} {
		t.Run(tt.args[:min(len(tt.args), 40)], func(t *testing.T) {
			got := program(strings.Fields(tt.args)...)
			if got.service != nil { // the error comes when the link is opened
				if _, err := got.service.Open(); err != nil {
					got.exit, got.stderr = 1, fmt.Sprintln(err)
				}
			}
			if got.exit != 1 || got.stderr != tt.want {
				t.Errorf("status %d, stderr %q, want 1, %q", got.exit, got.stderr, tt.want)
			}
			if usage := strings.Contains(got.stdout, usageHead); usage != tt.usage {
				t.Errorf("usage text: %v, want %v; stdout %q", usage, tt.usage, got.stdout)
			}
		})
	}
}

// TestUserNamespaceThatCannotBeOpened: a path that is there, to be opened by nobody.
func TestUserNamespaceThatCannotBeOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := program("--userns-path="+path, "--netns-type=path", "/proc/self/ns/net", "tap0")
	_, err = got.service.Open()
	if want := path + ": No such device or address\nchild failed(1)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	for args, want := range map[string]string{
		"-6":                         "WARNING: Support for IPv6 is experimental\n",
		"--enable-seccomp":           "WARNING: Support for seccomp is experimental\n",
		"--outbound-addr=127.0.0.1":  "WARNING: Support for --outbound-addr is experimental\n",
		"--outbound-addr6=::1":       "WARNING: Support for --outbound-addr6 is experimental\n",
		"--no-host-loopback":         "WARNING: --no-host-loopback is deprecated, please use --disable-host-loopback instead.\n",
		"--mtu=1500 --disable-dns":   "",
		"--mtu=1500 --netns-type=pi": "",
	} {
		got := program(append(strings.Fields(args), "/", "tap0")...)
		if !strings.HasPrefix(got.stdout, want) || want == "" && strings.Contains(got.stdout, "WARNING") {
			t.Errorf("%s: stdout %q, want %q", args, got.stdout, want)
		}
	}
	if got := program("--target-type=bess", "/x"); got.stdout != "WARNING: BESS mode is experimental\n" {
		t.Errorf("bess: stdout %q", got.stdout)
	}
	if got := program("1", "tap0", "more"); got.stdout != "WARNING: too many arguments\n" || got.service == nil {
		t.Errorf("too many operands: stdout %q", got.stdout)
	}
}

// TestHelp holds what Podman, RootlessKit and dockerd-rootless.sh look for.
func TestHelp(t *testing.T) {
	for _, args := range []string{"--help", "-h", "-c --help --x", "--he"} {
		got := program(strings.Fields(args)...)
		if got.exit != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, "Usage: slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]\n") {
			t.Fatalf("%s: status %d, stderr %q, stdout %q", args, got.exit, got.stderr, got.stdout)
		}
		for _, option := range []string{
			"--disable-host-loopback", "--mtu", "--enable-sandbox", "--enable-seccomp", "--cidr", "--outbound-addr", "--enable-ipv6",
			"--netns-type=", "--api-socket", "--configure", "--exit-fd", "--ready-fd", "--userns-path", "--outbound-addr6",
			"--disable-dns", "--macaddress", "--target-type",
		} {
			if !strings.Contains(got.stdout, option) {
				t.Errorf("no %s in the help", option)
			}
		}
		if strings.Contains(got.stdout, "--no-host-loopback") || strings.Contains(got.stdout, "`") {
			t.Errorf("help has what is hidden, or quotes:\n%s", got.stdout)
		}
	}
	if got := program("--x", "--help"); got.exit != 1 {
		t.Errorf("an error before --help: status %d, want 1", got.exit)
	}
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"--version", "-v", "-v --x"} {
		got := program(strings.Fields(args)...)
		want := "slirp4netns version 1.3.3\ncommit: pasta-v9\nlibslirp: 4.9.0\nSLIRP_CONFIG_VERSION_MAX: 6\nlibseccomp: 2.6.0\n"
		if got.exit != 0 || got.stderr != "" || got.stdout != want {
			t.Errorf("%s: status %d, stderr %q, stdout %q, want %q", args, got.exit, got.stderr, got.stdout, want)
		}
	}
	if n := strings.Count(versionText("devel"), "version"); n != 1 {
		t.Errorf("%d lines with the word version, want 1", n)
	}
}

func TestSummary(t *testing.T) {
	var out bytes.Buffer
	s := usual(func(s *settings) {
		s.apiSocket, s.outbound[0].addr, s.mac = "/x", netAddr("192.0.2.1"), "02:00:00:00:00:01"
	})
	s.stdout = &out
	s.summary()
	want := `Starting slirp
* MTU:             1500
* Network:         10.0.2.0
* Netmask:         255.255.255.0
* Gateway:         10.0.2.2
* DNS:             10.0.2.3
* DHCP begin:      10.0.2.15
* DHCP end:        10.0.2.30
* Recommended IP:  10.0.2.100
* API Socket:      /x
* Outbound IPv4:   192.0.2.1
* MAC address:     02:00:00:00:00:01
WARNING: 127.0.0.1:* on the host is accessible as 10.0.2.2 (set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}
