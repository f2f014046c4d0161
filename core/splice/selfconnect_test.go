package splice

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// TestSocketIsNotItsOwnTarget: the kernel chooses the port on which no service listens
// for the connection to it, which would give clients back what they say.
func TestSocketIsNotItsOwnTarget(t *testing.T) {
	for _, addr := range loopbacks {
		t.Run(addr, func(t *testing.T) {
			netnstest.Run(t, func(t *testing.T) {
				netnstest.IP(t, "link set lo up")
				e := newEnv(t, Options{})
				l, here := listen(t, addr)
				free, at := bound(t, addr, syscall.SOCK_STREAM)
				client := connectedTo(t, here, syscall.SOCK_STREAM)
				half := accept(t, l)
				client.write([]byte("question"))
				sys.Close(free)
				netnstest.OnlyPort(t, at.Port())
				e.h.Open(half, fwd.Target{Pif: fwd.Splice, Addr: packet.Addr(at.Addr().As16()), Port: at.Port()}, e.now())
				e.wantEnd(client, syscall.ECONNRESET)
				e.wantGone()
				sys.Close(client.fd)
				sys.Close(l)
			})
		})
	}
}

func TestDatagramSocketIsNotItsOwnTarget(t *testing.T) {
	for _, addr := range loopbacks {
		t.Run(addr, func(t *testing.T) {
			refusing(t, fwd.Splice, addr, func(t *testing.T, e *udpEnv) {
				c := e.client()
				netnstest.OnlyPort(t, e.target.Port)
				for range 2 {
					c.write([]byte("question"))
					e.wantRefused(c)
				}
				if n := e.h.Len(); n != 0 {
					t.Errorf("%d flows, want none", n)
				}
			})
		})
	}
}
