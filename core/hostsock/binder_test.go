package hostsock

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func addr(s string) packet.Addr {
	if s == "" {
		return packet.Addr{}
	}
	return packet.AddrFrom(netip.MustParseAddr(s))
}

// socket makes a UDP socket for talking to host.
func socket(t *testing.T, host packet.Addr) int {
	t.Helper()
	return socketOf(t, host, syscall.SOCK_DGRAM)
}

func socketOf(t *testing.T, host packet.Addr, typ int) int {
	t.Helper()
	fd, errno := sys.Socket(sys.Family(host), typ, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { sys.Close(fd) })
	return fd
}

// bound gives the address that fd is bound to, and the interface.
func bound(t *testing.T, fd int) (netip.AddrPort, int) {
	t.Helper()
	var a sys.SockAddr
	if errno := sys.LocalAddr(fd, &a); errno != 0 {
		t.Fatal(errno)
	}
	const soBindToIfindex = 62
	index, errno := sys.GetInt(fd, syscall.SOL_SOCKET, soBindToIfindex)
	if errno != 0 {
		t.Fatal(errno)
	}
	return a.Netip(), index
}

func inNamespace(t *testing.T, body func(t *testing.T)) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, `link set lo up
link add veth0 index 7 type veth peer name veth1
link set veth0 up
link set veth1 up
addr add 10.66.0.2/24 dev veth0
addr add fd66::2/64 dev veth0 nodad
`)
		body(t)
	})
}

// TestBinding checks what a socket is bound to after Device and Addr, and that
// nothing but what cannot be had is said, once.
func TestBinding(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		for _, tt := range []struct {
			name, outbound, outboundIf string
			host                       string // with "+": OutboundLoopback
			wantAddr                   string
			wantIf                     int
			wantLog                    string // "" for none
		}{
			{"nothing configured", "", "", "10.66.0.9", "0.0.0.0", 0, ""},
			{"nothing configured, IPv6", "", "", "fd66::9", "::", 0, ""},
			{"address", "10.66.0.2", "", "10.66.0.9", "10.66.0.2", 0, ""},
			{"address, IPv6", "fd66::2", "", "fd66::9", "fd66::2", 0, ""},
			{"interface", "", "veth0", "10.66.0.9", "0.0.0.0", 7, ""},
			{"both", "10.66.0.2", "veth0", "10.66.0.9", "10.66.0.2", 7, ""},
			{"loopback", "10.66.0.2", "veth0", "127.0.0.1", "0.0.0.0", 0, ""},
			{"loopback, IPv6", "fd66::2", "veth0", "::1", "::", 0, ""},
			{"loopback, wanted", "10.66.0.2", "veth0", "+127.0.0.1", "10.66.0.2", 0, ""},
			{"loopback, wanted, IPv6", "fd66::2", "", "+::1", "fd66::2", 0, ""},
			{"address not here", "10.66.0.3", "", "10.66.0.9", "0.0.0.0", 0, "to address"},
			{"address not here, IPv6", "fd66::3", "", "fd66::9", "::", 0, "to address"},
			{"interface not here", "", "eth9", "10.66.0.9", "0.0.0.0", 0, "to interface"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				text, wanted := strings.CutPrefix(tt.host, "+")
				nat, host := &fwd.Map{}, addr(text)
				nat.Family(host).OutboundLoopback = wanted
				nat.Family(host).Outbound, nat.Family(host).OutboundIf = addr(tt.outbound), tt.outboundIf
				var log bytes.Buffer
				b := NewBinder(nat, slog.New(slog.NewTextHandler(&log, nil)), "UDP")
				for range 3 {
					fd := socket(t, host)
					b.Device(fd, host)
					b.Addr(fd, host, 0)
					if a, index := bound(t, fd); a.Addr().String() != tt.wantAddr || index != tt.wantIf {
						t.Errorf("bound to %v on interface %d, want %s on %d", a.Addr(), index, tt.wantAddr, tt.wantIf)
					}
				}
				lines := strings.Count(log.String(), "\n")
				if want := min(1, len(tt.wantLog)); lines != want || !strings.Contains(log.String(), tt.wantLog) {
					t.Errorf("log %q, want %d lines with %q", log.String(), want, tt.wantLog)
				}
			})
		}
	})
}

func TestPort(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		nat, host := &fwd.Map{}, addr("10.66.0.9")
		nat.V4.Outbound = addr("10.66.0.2")
		b := NewBinder(nat, slog.New(slog.DiscardHandler), "UDP")
		fd := socket(t, host)
		if errno := b.Port(fd, host, 4000, 0); errno != 0 {
			t.Fatal(errno)
		}
		if a, _ := bound(t, fd); a.String() != "10.66.0.2:4000" {
			t.Errorf("bound to %v, want 10.66.0.2:4000", a)
		}
		if errno := b.Port(socket(t, host), host, 4000, 0); errno != syscall.EADDRINUSE {
			t.Errorf("the port again: %v, want %v", errno, syscall.EADDRINUSE)
		}
	})
}

// TestPortsServeEveryDestination: with two ports for outbound connections, as many
// go to each of several destinations from one configured address.
func TestPortsServeEveryDestination(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "addr add 10.66.0.9/32 dev lo\naddr add fd66::9/128 dev lo nodad\n")
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40001"), 0); err != nil {
			t.Fatal(err)
		}
		nat := &fwd.Map{}
		nat.V4.Outbound, nat.V6.Outbound = addr("10.66.0.2"), addr("fd66::2")
		b := NewBinder(nat, slog.New(slog.DiscardHandler), "TCP")
		for _, host := range []packet.Addr{addr("10.66.0.9"), addr("fd66::9")} {
			for port := range uint16(3) {
				to := listener(t, host, 5000+port)
				for range 2 {
					fd := socketOf(t, host, syscall.SOCK_STREAM)
					b.Addr(fd, host, 0)
					if errno := sys.Connect(fd, &to); errno != syscall.EINPROGRESS {
						t.Fatalf("connect to %v: %v, want %v", to.Netip(), errno, syscall.EINPROGRESS)
					}
					if a, _ := bound(t, fd); a.Addr() != b.source(host).Netip() {
						t.Errorf("connected from %v, want %v", a.Addr(), b.source(host).Netip())
					}
				}
			}
		}
	})
}

// listener listens on port of host.
func listener(t *testing.T, host packet.Addr, port uint16) sys.SockAddr {
	t.Helper()
	a := sys.MakeSockAddr(host, port, 0)
	fd := socketOf(t, host, syscall.SOCK_STREAM)
	if errno := sys.Bind(fd, &a); errno != 0 {
		t.Fatal(errno)
	}
	if errno := sys.Listen(fd, 8); errno != 0 {
		t.Fatal(errno)
	}
	return a
}

// TestEveryFamilyIsSaid checks that a warning about one IP version does not
// silence that about the other.
func TestEveryFamilyIsSaid(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		nat := &fwd.Map{}
		nat.V4.OutboundIf, nat.V6.OutboundIf = "eth8", "eth9"
		var log bytes.Buffer
		b := NewBinder(nat, slog.New(slog.NewTextHandler(&log, nil)), "ICMP")
		for _, host := range []packet.Addr{addr("10.66.0.9"), addr("fd66::9")} {
			b.Device(socket(t, host), host)
		}
		for _, name := range []string{"eth8", "eth9"} {
			if !strings.Contains(log.String(), "interface="+name) {
				t.Errorf("log %q, want a line about %s", log.String(), name)
			}
		}
	})
}
