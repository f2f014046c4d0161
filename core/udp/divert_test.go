package udp

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// splicer records what it is handed.
type splicer struct {
	clients   []fwd.Client
	targets   []fwd.Target
	payloads  []string
	flushed   int // payloads at the last Flush
	unlistens []int
}

func (s *splicer) Datagram(from fwd.Client, t fwd.Target, payload []byte, _ int, _ int64) {
	s.clients = append(s.clients, from)
	s.targets = append(s.targets, t)
	s.payloads = append(s.payloads, string(payload))
}

func (s *splicer) Flush() { s.flushed = len(s.payloads) }

func (s *splicer) Unlisten(fd int) { s.unlistens = append(s.unlistens, fd) }

// diverting is an env whose bypass of inbound datagrams is s.
func diverting(t *testing.T, b fwd.Bypass) (*env, *splicer) {
	t.Helper()
	e, s := newEnv(t, coretest.AllFeatures), &splicer{}
	e.h.nat.Bypass = b
	e.h.SetSplice(fwd.Host, s)
	return e, s
}

func TestLoopbackClientsAreDiverted(t *testing.T) {
	for _, f := range coretest.Families {
		t.Run(f.Name, func(t *testing.T) {
			e, s := diverting(t, fwd.Bypass{Inbound: true})
			to := e.listen(f.Loopback.String(), netip.Addr{}, 53)
			c := hostSocket(t, f.Loopback.String())
			send(t, c, to, []byte("one"))
			send(t, c, to, nil)
			e.Until("datagrams in the bypass", e.dispatch, func() bool { return s.flushed == 2 })
			want := fwd.Client{
				Listener: e.lastListener, Family: sys.Family(f.Loopback.As16()), Port: to.Port(),
				Addr: packet.AddrFrom(f.Loopback), Local: packet.AddrFrom(f.Loopback), AddrPort: addrOf(c).Port(),
			}
			target := fwd.Target{Pif: fwd.Splice, Addr: packet.AddrFrom(f.Guest), Port: 53}
			if s.clients[0] != want || s.targets[0] != target || s.payloads[0] != "one" || s.payloads[1] != "" {
				t.Errorf("%+v sends %q to %+v, want %+v and %+v", s.clients[0], s.payloads, s.targets[0], want, target)
			}
			if e.h.Len() != 0 {
				t.Errorf("%d flows on the tap, want none", e.h.Len())
			}
			e.h.RemoveListener(e.lastListener, e.Now)
			if len(s.unlistens) != 1 || s.unlistens[0] != e.lastListener {
				t.Errorf("told of the end of %v, want of %d", s.unlistens, e.lastListener)
			}
		})
	}
}

// TestRefusedByTheBypass: without a tap others than loopback clients get nowhere, and
// without a bypass there is none to loopback targets.
func TestRefusedByTheBypass(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bypass fwd.Bypass
		target netip.Addr
	}{
		{"no tap", fwd.Bypass{Inbound: true, Only: true}, guest4},
		{"no bypass", fwd.Bypass{}, netip.MustParseAddr("127.0.0.1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, s := diverting(t, tt.bypass)
			to := e.listen("127.0.0.1", tt.target, 53)
			send(t, hostSocket(t, "127.0.0.1"), to, []byte("x"))
			e.Until("drop", e.dispatch, func() bool { return e.h.Stats.HostDrops[packet.DropAddress] == 1 })
			if len(s.payloads) != 0 || e.h.Len() != 0 {
				t.Errorf("%d datagrams in the bypass, %d flows on the tap, want none", len(s.payloads), e.h.Len())
			}
		})
	}
}

func TestListenersInTheNamespaceDivert(t *testing.T) {
	e, s := newEnv(t, coretest.AllFeatures), &splicer{}
	e.h.SetSplice(fwd.Splice, s)
	to := e.listen("127.0.0.1", netip.Addr{}, 53)
	index, _ := e.h.listeners.Find(e.lastListener)
	e.h.listeners.Value(index).pif = fwd.Splice
	send(t, hostSocket(t, "127.0.0.1"), to, []byte("x"))
	e.Until("datagram in the bypass", e.dispatch, func() bool { return s.flushed == 1 })
	if want := (fwd.Target{Pif: fwd.Host, Addr: packet.AddrFrom(to.Addr()), Port: 53}); s.targets[0] != want {
		t.Errorf("target %+v, want %+v", s.targets[0], want)
	}
}
