package portfwd

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// sharing opens UDP port 5353, in the way of services that let others have it too.
func sharing(t *testing.T) (fd int) {
	t.Helper()
	fd, errno := sys.Socket(syscall.AF_INET6, syscall.SOCK_DGRAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { sys.Close(fd) })
	addr := sys.MakeSockAddr(netip.IPv6Unspecified().As16(), 5353, 0)
	if errno := setReuse(fd, 1); errno != 0 {
		t.Fatal(errno)
	}
	if errno := sys.Bind(fd, &addr); errno != 0 {
		t.Fatal(errno)
	}
	return fd
}

// TestPortsOfOthersAreNotShared: a forward that was there before does not come back
// beside a service that has taken its port meanwhile, but beside flows of its own, which
// have connected sockets.
func TestPortsOfOthersAreNotShared(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		rules := specRules(t, "-u", "5353")
		m, rule := manage(t, rules), rules[fwd.Host][0]
		if err := m.Remove(fwd.Host, rule); err != nil {
			t.Fatal(err)
		}
		fd := sharing(t)
		if err := m.Add(fwd.Host, rule); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("beside a service: %v, want address in use", err)
		}
		peer := sys.MakeSockAddr(netip.IPv6Loopback().As16(), 9, 0)
		if errno := sys.Connect(fd, &peer); errno != 0 {
			t.Fatal(errno)
		}
		if err := m.Add(fwd.Host, rule); err != nil {
			t.Errorf("beside a flow: %v, want the forward", err)
		}
		m.want("HOST UDP 5353=>5353")
	})
}
