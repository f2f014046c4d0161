package udp

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// TestSocketIsNotItsOwnPeer: the guest's port is taken on the host, and the kernel
// chooses the one on which nobody listens for the flow to it. The guest does not get
// back what it says.
func TestSocketIsNotItsOwnPeer(t *testing.T) {
	for _, f := range []struct {
		name, loopback string
		guest, gateway netip.Addr
	}{{"IPv4", "127.0.0.1", guest4, gateway4}, {"IPv6", "::1", guest6, gateway6}} {
		t.Run(f.name, func(t *testing.T) {
			inNamespace(t, func(t *testing.T) {
				e := newEnv(t, coretest.AllFeatures)
				taken := addrOf(hostSocket(t, f.loopback)).Port()
				netnstest.OnlyPort(t, 40032)
				e.guestSends(coretest.UDP(netip.AddrPortFrom(f.guest, taken), netip.AddrPortFrom(f.gateway, 40032), []byte("x")))
				e.turn()
				if n := len(e.Dev.Take(t)); n != 0 || e.h.Len() != 0 {
					t.Errorf("%d frames for the guest and %d flows, want none", n, e.h.Len())
				}
			})
		})
	}
}
