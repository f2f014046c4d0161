package tcp

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// TestSocketIsNotItsOwnPeer: the kernel chooses the port on which nobody listens for
// the connection to it.
func TestSocketIsNotItsOwnPeer(t *testing.T) {
	for _, tt := range []struct {
		name           string
		guest, gateway netip.Addr
	}{{"IPv4", guest4, gateway4}, {"IPv6", guest6, gateway6}} {
		t.Run(tt.name, func(t *testing.T) {
			netnstest.Run(t, func(t *testing.T) {
				netnstest.IP(t, "link set lo up")
				netnstest.OnlyPort(t, 40032)
				e := newEnv(t, setup{})
				p := e.newPeer(40032)
				p.guest, p.remote = netip.AddrPortFrom(tt.guest, guestPort), netip.AddrPortFrom(tt.gateway, 40032)
				p.send(seg{flags: syn, wnd: 65535})
				p.await(seg{flags: rst | ack, ack: 1})
				e.expectGone()
			})
		})
	}
}
