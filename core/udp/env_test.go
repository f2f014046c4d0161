package udp

import (
	"log/slog"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

var (
	guest4, guest6     = coretest.Guest4, coretest.Guest6
	gateway4, gateway6 = coretest.Gateway4, coretest.Gateway6
)

// env is a handler between an in-memory guest and real sockets.
type env struct {
	*coretest.Env
	h            *Handler
	lastListener int // socket of the last call of listen
}

func newEnv(t testing.TB, feat tap.Features) *env { return newEnvWith(t, feat, coretest.Config()) }

func newEnvWith(t testing.TB, feat tap.Features, cfg *config.Config) *env {
	t.Helper()
	e := &env{Env: coretest.NewEnv(t, feat, nil)}
	e.h = New(cfg, cfg.Map(), e.Link, e.Loop, slog.New(slog.DiscardHandler))
	t.Cleanup(e.h.Close)
	return e
}

// shrink replaces the flow table by one of so many slots.
func (e *env) shrink(slots int) {
	e.h.table, e.h.uses = flow.NewTable(slots), newUses(e.h.cfg, slots)
}

// deliver hands all frames that the guest queued to the handler, in one batch.
func (e *env) deliver() {
	e.T.Helper()
	batch, _ := e.Batch(math.MaxInt)
	for _, p := range batch {
		switch p.Proto {
		case packet.ProtoUDP:
			e.h.FromTap(p, e.Now)
		case packet.ProtoICMP, packet.ProtoICMPv6:
			e.h.FromGuestError(p)
		}
	}
	e.h.Flush()
}

// guestSends has the guest send frames in one batch.
func (e *env) guestSends(frames ...[]byte) {
	e.T.Helper()
	for _, f := range frames {
		e.Dev.Inject(f)
	}
	e.deliver()
}

// turn handles the events that are pending, if any, and what is read at intervals.
func (e *env) turn() {
	e.dispatch(0)
	if len(e.h.paced) > 0 { // whatever the test's clock says
		e.h.poll(e.Now)
	}
}

// dispatch handles the events that are pending, or come within wait.
func (e *env) dispatch(wait time.Duration) {
	for _, ev := range e.Events(wait) {
		switch ev.Token.Kind() {
		case loop.KindUDP:
			e.h.FromSock(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.Now)
		case loop.KindUDPListen:
			e.h.FromListener(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.Now)
		}
	}
}

// guestGets turns the loop until the guest got want datagrams, and returns the
// frames that it got.
func (e *env) guestGets(want int) []*coretest.Frame {
	e.T.Helper()
	var frames []*coretest.Frame
	n := 0
	e.Until("datagrams to the guest", func(time.Duration) { e.turn() }, func() bool {
		frames = append(frames, e.Dev.Take(e.T)...)
		n = len(coretest.Datagrams(e.T, frames))
		return n >= want
	})
	if n != want {
		e.T.Errorf("guest got %d datagrams, want %d", n, want)
	}
	return frames
}

// hostSocket is a UDP socket of the test on the host's loopback.
func hostSocket(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadBuffer(4 << 20)
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// receive reads one datagram from c, waiting for it if need be.
func receive(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 1<<16)
	_ = c.SetReadDeadline(time.Now().Add(coretest.Patience))
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("receive on host: %v", err)
	}
	return b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// send writes one datagram.
func send(t testing.TB, c *net.UDPConn, to netip.AddrPort, b []byte) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, to); err != nil {
		t.Fatalf("send from host: %v", err)
	}
}

// listen gives the handler a listener of one forward, bound by hand.
func (e *env) listen(address string, toAddr netip.Addr, target uint16) netip.AddrPort {
	e.T.Helper()
	c := hostSocket(e.T, address)
	local := addrOf(c)
	fd := coretest.TakeFD(e.T, c)
	rule := fwd.Rule{Proto: fwd.UDP, First: local.Port(), Last: local.Port(), Target: target, TargetAddr: toAddr}
	if err := e.h.AddListener(config.Listener{FD: fd, Rule: rule, Port: local.Port()}); err != nil {
		e.T.Fatal(err)
	}
	e.lastListener = fd
	return local
}
