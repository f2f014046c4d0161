package splice

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/sys"
)

// unlisten does what core/udp does with a listener that goes.
func (e *udpEnv) unlisten() {
	e.t.Helper()
	if errno := hostsock.ShareForHeirs(e.listener); errno != 0 {
		e.t.Fatal(errno)
	}
	e.h.Unlisten(e.listener)
	sys.Close(e.listener)
	e.listener = -1
}

// TestFlowsOutliveTheirListener: both ways go on, also with bursts, while other
// clients are refused by the kernel.
func TestFlowsOutliveTheirListener(t *testing.T) {
	for _, addr := range loopbacks {
		for _, pif := range []fwd.Pif{fwd.Host, fwd.Splice} {
			t.Run(fmt.Sprint(addr, " ", pif), func(t *testing.T) {
				e := newUDPEnv(t, pif, addr, UDPOptions{})
				c := e.client()
				c.write([]byte("before"))
				_, from := e.receive(e.server)
				e.unlisten()
				for _, text := range []string{"after", "", string(make([]byte, 60000)), "again"} {
					c.write([]byte(text))
					if got, still := e.receive(e.server); got != text || still != from {
						t.Fatalf("server got %d bytes from %v, want %d from %v", len(got), still, len(text), from)
					}
					e.serverSends(from, text)
					if got, of := e.receive(c.fd); got != text || of != e.front {
						t.Fatalf("client got %d bytes from %v, want %d from %v", len(got), of, len(text), e.front)
					}
				}
				other := e.client()
				other.write([]byte("refused"))
				if _, errno := other.read(make([]byte, 1)); errno != syscall.ECONNREFUSED {
					t.Errorf("a new client got %v, want connection refused", errno)
				}
				if e.h.Len() != 1 || e.h.Stats.Flows != 1 || e.h.Stats.Dropped != 0 {
					t.Errorf("%d flows, statistics %+v, want the first one", e.h.Len(), e.h.Stats)
				}
			})
		}
	}
}

// TestHeirsEndWhenIdle: a flow without listener has the timeout of any other, and
// leaves no descriptor.
func TestHeirsEndWhenIdle(t *testing.T) {
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{})
	c := e.client()
	before := descriptors(t)
	c.write([]byte("x"))
	e.receive(e.server)
	e.unlisten()
	e.now = e.h.NextDeadline()
	e.h.Expire(e.now)
	if n := descriptors(t); e.h.Len() != 0 || n != before-1 {
		t.Errorf("%d flows, %d descriptors, want none and %d", e.h.Len(), n, before-1)
	}
}

// TestUnlistenWithoutSockets: flows that get no socket at once get it later, those of
// other listeners are not touched.
func TestUnlistenWithoutSockets(t *testing.T) {
	e, c, from := oneFlow(t, fwd.Splice)
	e.h.Unlisten(e.listener + 1000)
	if f := &e.h.flows[0]; f.client.Listener != e.listener || f.fd[toClient] >= 0 {
		t.Error("the end of another listener changed the flow")
	}
	e.sockets.left = 0
	e.unlisten()
	e.serverSends(from, "lost")
	e.turn()
	e.h.Resume(e.now) // too early
	e.sockets.left = 1
	e.h.Resume(e.now)
	c.write([]byte("after"))
	if got, still := e.receive(e.server); got != "after" || still != from {
		t.Errorf("server got %q from %v, want the flow of %v", got, still, from)
	}
	e.serverSends(from, "answer")
	if got, _ := e.receive(c.fd); got != "answer" {
		t.Errorf("client got %q", got)
	}
	if e.h.Stats.Flows != 1 || e.h.Stats.Dropped != 1 {
		t.Errorf("statistics %+v, want one flow and one datagram dropped", e.h.Stats)
	}
}

// TestPortIsTakenBeforeAnHeirHasIt: then its flow ends.
func TestPortIsTakenBeforeAnHeirHasIt(t *testing.T) {
	e, _, _ := oneFlow(t, fwd.Splice)
	e.sockets.left = 0
	e.unlisten()
	fd, errno := sys.Socket(e.family, syscall.SOCK_DGRAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(fd)
	port := sys.MakeSockAddr(e.front.Addr().As16(), e.front.Port(), 0)
	if errno := sys.Bind(fd, &port); errno != 0 {
		t.Fatal(errno)
	}
	before := descriptors(t)
	e.sockets.left = 1
	e.h.Resume(e.now)
	if n := descriptors(t); e.h.Len() != 0 || n != before-1 {
		t.Errorf("%d flows, %d descriptors, want none and %d", e.h.Len(), n, before-1)
	}
}
