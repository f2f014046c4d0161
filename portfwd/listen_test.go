package portfwd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

var both = Options{V4: true, V6: true, TCP: true, UDP: true}

// startHost starts a manager of host rules.
func startHost(o Options, rules ...fwd.Rule) ([]config.Listener, error) {
	for i := range rules {
		if rules[i].Target == 0 {
			rules[i].Target = rules[i].First
		}
	}
	m, err := NewManager(o)
	if err != nil {
		return nil, err
	}
	return m.Start(Rules{fwd.Host: rules})
}

// loUp sets the loopback interface of the test's namespace up.
func loUp(t *testing.T) {
	t.Helper()
	c, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetLink(1, rtnl.LinkChange{Up: rtnl.LinkUp}); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, o Options, rules ...fwd.Rule) []config.Listener {
	t.Helper()
	list, err := startHost(o, rules...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(list) })
	return list
}

// reaches tells whether a TCP connection to address succeeds.
func reaches(t *testing.T, address string) bool {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func TestListenFamilies(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		tests := []struct {
			name   string
			listen netip.Addr
			opts   Options
			v4, v6 bool
		}{
			{"dual stack", netip.Addr{}, both, true, true},
			{"wildcard, IPv4 only", netip.Addr{}, Options{V4: true, TCP: true}, true, false},
			{"wildcard, IPv6 only", netip.Addr{}, Options{V6: true, TCP: true}, false, true},
			{"any IPv4", netip.IPv4Unspecified(), both, true, false},
			{"any IPv6", netip.IPv6Unspecified(), both, false, true},
			{"one IPv4 address", netip.MustParseAddr("127.0.0.1"), both, true, false},
			{"one IPv6 address", netip.MustParseAddr("::1"), both, false, true},
		}
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				port := uint16(8000 + i)
				listen(t, tt.opts, fwd.Rule{Proto: fwd.TCP, Listen: tt.listen, First: port, Last: port})
				v4, v6 := reaches(t, fmt.Sprintf("127.0.0.1:%d", port)), reaches(t, fmt.Sprintf("[::1]:%d", port))
				if v4 != tt.v4 || v6 != tt.v6 {
					t.Errorf("reached by IPv4 %v, IPv6 %v, want %v, %v", v4, v6, tt.v4, tt.v6)
				}
			})
		}
	})
}

func TestListenRange(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		rule := fwd.Rule{Proto: fwd.TCP, First: 65533, Last: 65535, Target: 1}
		list := listen(t, both, rule)
		if len(list) != 3 {
			t.Fatalf("listeners: got %d, want 3", len(list))
		}
		for i, l := range list {
			if want := uint16(65533 + i); l.Port != want || l.TargetPort() != uint16(1+i) || l.Rule != rule {
				t.Errorf("listener %d: got %+v, want port %d", i, l, want)
			}
		}
	})
}

func TestListenAllOrNothing(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		listen(t, both, fwd.Rule{Proto: fwd.TCP, First: 9001, Last: 9001})
		_, err := startHost(both,
			fwd.Rule{Proto: fwd.UDP, First: 9000, Last: 9002},
			fwd.Rule{Proto: fwd.TCP, First: 9000, Last: 9002})
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("error: got %v, want EADDRINUSE", err)
		}
		if want := "Listen failed for HOST TCP port */9001: Address already in use"; err.Error() != want {
			t.Errorf("error text: got %q, want %q", err, want)
		}
		if reaches(t, "127.0.0.1:9000") {
			t.Error("port bound before the failure is still open")
		}
		list := listen(t, both, fwd.Rule{Proto: fwd.TCP, First: 9000, Last: 9002, BestEffort: true})
		if len(list) != 2 {
			t.Errorf("best effort: got %d listeners, want 2", len(list))
		}
	})
}

func TestListenErrorTexts(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		listen(t, both, fwd.Rule{Proto: fwd.TCP, First: 9001, Last: 9002})
		tests := []struct {
			name string
			rule fwd.Rule
			want string
		}{
			{
				"no such device",
				fwd.Rule{Proto: fwd.TCP, IfName: "nonexist", First: 80, Last: 80},
				"Listen failed for HOST TCP port *%nonexist/80: No such device",
			},
			{
				"foreign address",
				fwd.Rule{Proto: fwd.UDP, Listen: netip.MustParseAddr("192.0.2.1"), First: 80, Last: 80},
				"Listen failed for HOST UDP port 192.0.2.1/80: Cannot assign requested address",
			},
			{
				"link-local address on no device",
				fwd.Rule{
					Proto: fwd.TCP, Listen: netip.MustParseAddr("fe80::1"),
					IfName: "nonexist", First: 80, Last: 80,
				},
				"Listen failed for HOST TCP port fe80::1%nonexist/80: No such device",
			},
			{
				"best effort without success",
				fwd.Rule{Proto: fwd.TCP, First: 9001, Last: 9002, BestEffort: true},
				"All listens failed for HOST TCP */9001-9002\nCouldn't listen on requested ports",
			},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := startHost(both, tt.rule)
				if err == nil || err.Error() != tt.want {
					t.Errorf("error: got %v, want %s", err, tt.want)
				}
			})
		}
	})
}

func TestListenFreeBindAndDevice(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		o := both
		o.FreeBind = true
		listen(t, o,
			fwd.Rule{Proto: fwd.TCP, Listen: netip.MustParseAddr("192.0.2.1"), IfName: "lo", First: 80, Last: 80},
			fwd.Rule{Proto: fwd.UDP, Listen: netip.MustParseAddr("2001:db8::1"), First: 80, Last: 80})
		listen(t, both, fwd.Rule{Proto: fwd.TCP, IfName: "lo", First: 81, Last: 81})
		if !reaches(t, "127.0.0.1:81") {
			t.Error("port bound to lo: not reached through lo")
		}
	})
}

func TestListenUDPTellsDestination(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		tests := []struct {
			name       string
			listen     netip.Addr
			level, opt int
		}{
			{"IPv4", netip.IPv4Unspecified(), syscall.IPPROTO_IP, syscall.IP_PKTINFO},
			{"dual stack", netip.Addr{}, syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO},
		}
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				port := uint16(5000 + i)
				list := listen(t, both, fwd.Rule{Proto: fwd.UDP, Listen: tt.listen, First: port, Last: port})
				if on, errno := sys.GetInt(list[0].FD, tt.level, tt.opt); errno != 0 || on != 1 {
					t.Errorf("packet information: got %d, %v, want 1", on, errno)
				}
			})
		}
	})
}

// newNamespace makes a network namespace with loopback up, on a thread of its own.
func newNamespace(t *testing.T) *netns.Thread {
	t.Helper()
	made := make(chan *os.File, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread's namespace is another one now
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Errorf("make network namespace: %v", err)
		}
		f, err := netns.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Errorf("open new network namespace: %v", err)
		}
		made <- f
	}()
	f := <-made
	if f == nil {
		t.FailNow()
	}
	defer f.Close()
	ns, err := netns.NewThread(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Close)
	_ = ns.Do(func() error {
		loUp(t)
		return nil
	})
	return ns
}
