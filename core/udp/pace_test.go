package udp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
)

// paceSource is a socket of the handler and whoever sends to it.
type paceSource struct {
	name string
	open func(e *env) (peer *net.UDPConn, to netip.AddrPort, answer []byte)
}

var paceSources = []paceSource{
	{"outbound flow", func(e *env) (*net.UDPConn, netip.AddrPort, []byte) {
		peer := hostSocket(e.T, "127.0.0.1")
		frame := coretest.UDP(netip.AddrPortFrom(guest4, 40040), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil)
		e.guestSends(frame)
		_, from := receive(e.T, peer)
		return peer, from, frame
	}},
	{"listener", func(e *env) (*net.UDPConn, netip.AddrPort, []byte) {
		to := e.listen("127.0.0.1", netip.Addr{}, 53)
		peer := hostSocket(e.T, "127.0.0.1")
		frame := coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil)
		return peer, to, frame
	}},
}

// arrive has one datagram arrive and be handled as an event, gap after the last.
func (e *env) arrive(peer *net.UDPConn, to netip.AddrPort, gap int64) {
	e.T.Helper()
	e.Now += gap
	send(e.T, peer, to, []byte("x"))
	e.dispatch(0)
}

func TestStreamIsReadAtIntervals(t *testing.T) {
	for _, src := range paceSources {
		t.Run(src.name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			e.Now = 1e9
			peer, to, _ := src.open(e)
			for range paceAfter + 1 {
				e.arrive(peer, to, paceGap/2)
			}
			if len(e.h.paced) != 1 || e.h.NextDeadline() != e.Now+paceEvery {
				t.Fatalf("%d sockets read at intervals, next in %d ns, want 1, %d", len(e.h.paced), e.h.NextDeadline()-e.Now, paceEvery)
			}
			e.Dev.Discard()
			for range 5 {
				e.arrive(peer, to, paceEvery/10)
			}
			if n := e.Dev.Sent(); n != 0 {
				t.Errorf("%d frames before the interval is over, want 0", n)
			}
			e.Now += paceEvery
			e.h.Expire(e.Now)
			if got := len(coretest.Datagrams(t, e.Dev.Take(t))); got != 5 {
				t.Errorf("%d datagrams after the interval, want 5", got)
			}
			for range paceQuiet {
				e.Now += paceEvery
				e.h.Expire(e.Now)
			}
			if len(e.h.paced) != 0 || e.h.pollAt != loop.NoDeadline {
				t.Errorf("%d sockets still read at intervals", len(e.h.paced))
			}
			e.arrive(peer, to, 1)
			if n := e.Dev.Sent(); n != 1 {
				t.Errorf("%d frames with the first event after the stream, want 1", n)
			}
		})
	}
}

func TestRequestAndResponseAreNotDelayed(t *testing.T) {
	for _, src := range paceSources {
		t.Run(src.name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			peer, to, answer := src.open(e)
			for i := range 4 * paceAfter {
				e.arrive(peer, to, 1000)
				if n := e.Dev.Sent(); n != i+1 {
					t.Fatalf("%d frames after %d datagrams", n, i+1)
				}
				e.guestSends(answer)
			}
		})
	}
}

func TestSlowDatagramsAreNotDelayed(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	peer, to, _ := paceSources[0].open(e)
	for i := range 4 * paceAfter {
		e.arrive(peer, to, paceGap)
		if n := e.Dev.Sent(); n != i+1 {
			t.Fatalf("%d frames after %d datagrams", n, i+1)
		}
	}
}

// TestPacedFlowMayEnd checks that the list of sockets does not outlive them.
func TestPacedFlowMayEnd(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	peer, to, answer := paceSources[0].open(e)
	for range paceAfter + 1 {
		e.arrive(peer, to, 0)
	}
	e.h.close(0)
	e.guestSends(answer) // takes the slot again
	e.h.Expire(e.Now + paceEvery)
	if len(e.h.paced) != 0 || e.h.Len() != 1 {
		t.Errorf("%d sockets read at intervals with %d flows, want 0 and 1", len(e.h.paced), e.h.Len())
	}
	if drops := e.h.Stats.HostDrops; drops != [packet.NumDrops]uint64{} {
		t.Errorf("drops %v, want none", drops)
	}
}
