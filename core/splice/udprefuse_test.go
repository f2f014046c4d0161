package splice

import (
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// refusing is a handler whose target refuses datagrams, in new namespaces.
func refusing(t *testing.T, pif fwd.Pif, addr string, body func(t *testing.T, e *udpEnv)) {
	t.Helper()
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, "link set lo up")
		e := newUDPEnv(t, pif, addr, UDPOptions{})
		e.sockets.raw = true
		e.h.refused.close()
		e.h.refused = newRefusals(pif, e.sockets)
		sys.Close(e.server)
		e.server = -1
		body(t, e)
	})
}

// wantRefused waits until c is told that nobody is there.
func (e *udpEnv) wantRefused(c peer) {
	e.t.Helper()
	errno := syscall.EAGAIN
	for end := time.Now().Add(patience); errno == syscall.EAGAIN && time.Now().Before(end); {
		e.turn()
		_, errno = c.read(make([]byte, 1))
	}
	if errno != syscall.ECONNREFUSED {
		e.t.Fatalf("the client got %v, want connection refused", errno)
	}
}

// TestClientsAreTold: a client in the namespace learns of each datagram that the
// target refuses, also from the socket that outlives the listener, and nothing is left
// to do then.
func TestClientsAreTold(t *testing.T) {
	for _, addr := range loopbacks {
		t.Run(addr, func(t *testing.T) {
			refusing(t, fwd.Splice, addr, func(t *testing.T, e *udpEnv) {
				c, other := e.client(), e.client()
				for i := range 4 {
					if i == 2 {
						e.unlisten()
					}
					c.write([]byte("anybody?"))
					e.wantRefused(c)
				}
				if _, errno := other.read(make([]byte, 1)); errno != syscall.EAGAIN {
					t.Errorf("another client got %v, want nothing", errno)
				}
				if events, err := e.lp.Wait(0); err != nil || len(events) != 0 {
					t.Errorf("%d events, %v, after all was told, want none", len(events), err)
				}
				if e.h.Len() != 1 || e.h.Stats.Flows != 1 || e.h.Stats.Refused != 4 {
					t.Errorf("%d flows, statistics %+v, want one flow and 4 refusals", e.h.Len(), e.h.Stats)
				}
			})
		})
	}
}

// TestClientsOnTheHostHearNothing: there are no rights to send such messages there.
func TestClientsOnTheHostHearNothing(t *testing.T) {
	refusing(t, fwd.Host, "127.0.0.1", func(t *testing.T, e *udpEnv) {
		c := e.client()
		for range 3 {
			c.write([]byte("anybody?"))
			e.turn()
			e.turn()
		}
		if _, errno := c.read(make([]byte, 1)); errno != syscall.EAGAIN {
			t.Errorf("the client got %v, want nothing", errno)
		}
		if events, err := e.lp.Wait(0); err != nil || len(events) != 0 {
			t.Errorf("%d events, %v, after the errors, want none", len(events), err)
		}
	})
}

func TestRefusalsDoNotAllocate(t *testing.T) {
	refusing(t, fwd.Splice, "::1", func(t *testing.T, e *udpEnv) {
		c := e.client()
		c.write([]byte("x"))
		e.wantRefused(c)
		b := make([]byte, 1)
		if n := testing.AllocsPerRun(100, func() {
			c.write(b)
			e.turn()
			e.turn()
			_, _ = c.read(b)
		}); n != 0 {
			t.Errorf("%v allocations, want none", n)
		}
	})
}
