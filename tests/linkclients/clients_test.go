package linkclients

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// patience is how long a client may take; it fails the test, it does not pace it.
const patience = 20 * time.Second

// need skips the test if a client is not installed, or fails it where nothing may
// be skipped.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			netnstest.Lacks(t, "%s is not installed", name)
		}
	}
}

// run executes a command that has to succeed and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// guest sets up the guest's side of the tap: up, with a link-local address that
// is usable at once.
func guest(t *testing.T) {
	t.Helper()
	for _, key := range []string{"accept_dad", "dad_transmits", "router_solicitations"} {
		path := fmt.Sprintf("/proc/sys/net/ipv6/conf/%s/%s", ifName, key)
		if err := os.WriteFile(path, []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "set", ifName, "up")
	// The kernel makes it some time after the carrier comes, tentative for a
	// moment even without DAD; dhclient -6 and rdisc6 exit until then.
	eventually(t, "link-local address", func() bool {
		out := run(t, "ip", "-6", "address", "show", "dev", ifName, "scope", "link")
		return strings.Contains(out, "inet6 fe80:") && !strings.Contains(out, "tentative")
	})
}

// eventually polls until ok or out of patience.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting in vain for %s", what)
		}
	}
}

// hook writes a script that leaves its environment in a file when it is called
// with a lease: word is what its first argument or $reason has to be.
func hook(t *testing.T, word string) (script, env string) {
	t.Helper()
	dir := t.TempDir()
	script, env = filepath.Join(dir, "script"), filepath.Join(dir, "env")
	text := fmt.Sprintf("#!/bin/sh\nif [ \"$1$reason\" = %s ]; then env >%s.new; mv %s.new %s; fi\n", word, env, env, env)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script, env
}

// wantLines checks that text has each of the lines.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text+"\n", "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, text)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dhclient runs ISC dhclient, without old leases, until its script reports word.
func dhclient(t *testing.T, conf, word string, args ...string) string {
	t.Helper()
	return dhclientAgain(t, filepath.Join(t.TempDir(), "leases"), conf, word, args...)
}

// dhclientAgain is dhclient with the leases of an earlier run.
func dhclientAgain(t *testing.T, leases, conf, word string, args ...string) string {
	t.Helper()
	script, env := hook(t, word)
	dir := filepath.Dir(env)
	confPath := filepath.Join(dir, "conf")
	if err := os.WriteFile(confPath, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "-d", "-v", "-sf", script, "-cf", confPath, "-lf", leases,
		"-pf", filepath.Join(dir, "pid"), ifName)
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, "dhclient", args...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = c.Wait() // killed
	}()
	eventually(t, "dhclient's "+word, func() bool { _, err := os.Stat(env); return err == nil })
	return readFile(t, env)
}

func TestUdhcpc(t *testing.T) {
	need(t, "ip", "udhcpc")
	netnstest.Run(t, func(t *testing.T) {
		s := serve(t, testConfig())
		guest(t)
		script, env := hook(t, "bound")
		run(t, "udhcpc", "-i", ifName, "-f", "-n", "-q", "-t", "5", "-T", "2", "-s", script,
			"-O", "mtu", "-O", "search", "-O", "staticroutes", "-O", "hostname")
		wantLines(t, readFile(t, env),
			"ip=10.66.0.2", "mask=24", "router=10.99.0.1", "dns=10.66.0.53 10.66.0.54", "mtu=4000",
			"hostname=guest1", "search=corp.example.org example.org", "lease=4294967295",
			"serverid=10.99.0.1", "staticroutes=10.99.0.1/32 0.0.0.0 0.0.0.0/0 10.99.0.1")
		for _, line := range []string{"DHCP: offer to discover", "DHCP: ack to request", "    from "} {
			if !strings.Contains(s.log.String(), line) {
				t.Errorf("no %q in the log:\n%s", line, s.log.String())
			}
		}
	})
}

const conf4 = `option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name-servers, host-name, interface-mtu, domain-search,
	rfc3442-classless-static-routes, fqdn.fqdn;
`

func TestDhclient(t *testing.T) {
	need(t, "ip", "dhclient")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		wantLines(t, dhclient(t, conf4, "BOUND", "-4"),
			"new_ip_address=10.66.0.2", "new_subnet_mask=255.255.255.0", "new_routers=10.99.0.1",
			"new_domain_name_servers=10.66.0.53 10.66.0.54", "new_interface_mtu=4000", "new_host_name=guest1",
			"new_domain_search=corp.example.org. example.org.", "new_dhcp_lease_time=4294967295",
			"new_dhcp_server_identifier=10.99.0.1",
			"new_rfc3442_classless_static_routes=32 10 99 0 1 0 0 0 0 0 10 99 0 1")
	})
}

func TestDhclient6(t *testing.T) {
	need(t, "ip", "dhclient")
	netnstest.Run(t, func(t *testing.T) {
		s := serve(t, testConfig())
		guest(t)
		wantLines(t, dhclient(t, "", "BOUND6", "-6"),
			"new_ip6_address=fd66::2", "new_preferred_life=4294967295", "new_max_life=4294967295",
			"new_dhcp6_name_servers=fd66::53", "new_dhcp6_domain_search=corp.example.org. example.org.")
		if !strings.Contains(s.log.String(), "DHCPv6: reply to request") {
			t.Errorf("log:\n%s", s.log.String())
		}
	})
}

// TestDhclient6Confirm: a client that comes back confirms its lease, and one whose
// address is not ours any more gets the new one.
func TestDhclient6Confirm(t *testing.T) {
	need(t, "ip", "dhclient")
	netnstest.Run(t, func(t *testing.T) {
		leases := filepath.Join(t.TempDir(), "leases")
		for _, addr := range []string{"fd66::2", "fd99::3"} {
			t.Run(addr, func(t *testing.T) {
				cfg := testConfig()
				cfg.V6.Guest = netip.MustParseAddr(addr)
				s := serve(t, cfg)
				guest(t)
				wantLines(t, dhclientAgain(t, leases, "", "BOUND6", "-6"), "new_ip6_address="+addr)
				if addr == "fd66::2" {
					wantLines(t, dhclientAgain(t, leases, "", "BOUND6", "-6"), "new_ip6_address="+addr)
				}
				if !strings.Contains(s.log.String(), "DHCPv6: reply to confirm") {
					t.Errorf("no CONFIRM in the log:\n%s", s.log.String())
				}
			})
		}
	})
}

func TestDhclient6Stateless(t *testing.T) {
	need(t, "ip", "dhclient")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		wantLines(t, dhclient(t, "", "RENEW6", "-6", "-S"), "new_dhcp6_name_servers=fd66::53")
	})
}

func TestRdisc6(t *testing.T) {
	need(t, "ip", "rdisc6")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		out := run(t, "rdisc6", "-1", ifName)
		for _, want := range []string{
			"Hop limit                 :          255", "Stateful address conf.    :          Yes",
			"Router lifetime           :        65535", "fd66::2/64", "MTU                      :         4000",
			"Source link-layer address: 9A:55:9A:55:9A:55", "Recursive DNS server     : fd66::53",
			"DNS search list          : corp.example.org example.org", "from fe80::1",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in:\n%s", want, out)
			}
		}
	})
}

// TestKernelUsesAdvertisement: the guest's kernel configures itself.
func TestKernelUsesAdvertisement(t *testing.T) {
	need(t, "ip", "rdisc6")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		run(t, "rdisc6", "-1", ifName)
		eventually(t, "default route", func() bool {
			return strings.Contains(run(t, "ip", "-6", "route", "show", "default"), "via fe80::1 dev "+ifName)
		})
		eventually(t, "global address", func() bool {
			return strings.Contains(run(t, "ip", "-6", "addr", "show", "dev", ifName, "scope", "global"), "inet6 fd66::")
		})
	})
}

func TestNdisc6(t *testing.T) {
	need(t, "ip", "ndisc6")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		out := run(t, "ndisc6", "-1", "fe80::1", ifName)
		if !strings.Contains(out, "Target link-layer address: 9A:55:9A:55:9A:55") {
			t.Errorf("ndisc6 printed:\n%s", out)
		}
	})
}

// TestKernelResolves: the guest's kernel finds us behind any address but its own.
func TestKernelResolves(t *testing.T) {
	need(t, "ip")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		run(t, "ip", "addr", "add", "10.66.0.2/24", "dev", ifName)
		run(t, "ip", "addr", "add", "2001:db8::2/64", "dev", ifName)
		for _, addr := range []string{"10.66.0.77", "2001:db8::77"} {
			c, err := net.Dial("udp", net.JoinHostPort(addr, "9"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "neighbour "+addr, func() bool {
				out := run(t, "ip", "neigh", "show", addr)
				return strings.Contains(out, "lladdr 9a:55:9a:55:9a:55 ") && strings.Contains(out, "REACHABLE")
			})
		}
	})
}

// TestArping: duplicate address detection finds the guest's own address free,
// and other addresses answer.
func TestArping(t *testing.T) {
	need(t, "ip", "arping")
	netnstest.Run(t, func(t *testing.T) {
		serve(t, testConfig())
		guest(t)
		run(t, "arping", "-D", "-c", "1", "-w", "1", "-I", ifName, "10.66.0.2")
		run(t, "ip", "addr", "add", "10.66.0.2/24", "dev", ifName)
		out := run(t, "arping", "-c", "1", "-w", "5", "-I", ifName, "8.8.8.8")
		if !strings.Contains(out, "[9A:55:9A:55:9A:55]") {
			t.Errorf("arping printed:\n%s", out)
		}
	})
}
