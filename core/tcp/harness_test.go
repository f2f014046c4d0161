package tcp

import (
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/tap"
)

var (
	guest4, guest6     = coretest.Guest4, coretest.Guest6
	gateway4, gateway6 = coretest.Gateway4, coretest.Gateway6
)

const (
	guestPort = 40000
	guestISS  = seqnum.Value(1000)
	// patience is how long, in real time, a test waits for the host's kernel.
	patience = coretest.Patience
)

// setup says how an env differs from the usual one. Zero fields: the usual.
type setup struct {
	opts  Options
	feat  tap.Features
	plain bool // a tap without any feature, instead of all
	mtu   int
	alter func(*config.Config)        // changes the configuration
	wrap  func(tap.Device) tap.Device // to spoil the tap in other ways
}

// env is a handler between an in-memory guest and real sockets on the host's
// loopback, driven as the engine drives it, by a clock that the test moves.
type env struct {
	*coretest.Env
	h *Handler
}

// batchLen is how many frames of the guest are handled before Flush.
const batchLen = 16

func newEnv(t testing.TB, s setup) *env {
	t.Helper()
	if s.feat == (tap.Features{}) && !s.plain {
		s.feat = coretest.AllFeatures
	}
	if s.opts.MaxFlows == 0 {
		s.opts.MaxFlows = 64
	}
	if s.opts.HeldChunks == 0 {
		s.opts.HeldChunks = 16
	}
	cfg := coretest.Config()
	if s.mtu != 0 {
		cfg.MTU = s.mtu
	}
	if s.alter != nil {
		s.alter(cfg)
	}
	e := &env{Env: coretest.NewEnv(t, s.feat, s.wrap)}
	e.Now = int64(time.Hour)
	e.h = New(cfg, cfg.Map(), e.Link, e.Loop, slog.New(slog.DiscardHandler), s.opts)
	t.Cleanup(e.h.Close)
	return e
}

// turn is one turn of the engine, without sleeping longer than wait for events.
func (e *env) turn(wait time.Duration) {
	e.T.Helper()
	e.fromTap()
	for _, ev := range e.Events(wait) {
		switch ev.Token.Kind() {
		case loop.KindTCP:
			e.h.FromSock(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.Now)
		case loop.KindTCPListen:
			e.h.FromListener(ev.Token.Index(), ev.Token.Gen(), e.Now)
		}
	}
	if e.h.NextDeadline() <= e.Now {
		e.h.Expire(e.Now)
	}
	e.h.RunBacklog(e.Now)
	e.h.Flush(e.Now)
	if len(e.h.due) > 0 { // the next turn comes at once
		e.h.RunBacklog(e.Now)
		e.h.Flush(e.Now)
	}
}

// fromTap hands the frames that the guest queued to the handler, in batches.
func (e *env) fromTap() {
	for more := true; more; {
		var batch []*packet.Packet
		batch, more = e.Batch(batchLen)
		for _, p := range batch {
			if p.Proto == packet.ProtoTCP {
				e.h.FromTap(p, e.Now)
			}
		}
		e.h.Flush(e.Now)
	}
}

// until turns the loop until cond holds.
func (e *env) until(what string, cond func() bool) {
	e.T.Helper()
	e.Until(what, e.turn, cond)
}

// advance moves the clock on by d, stopping at every deadline on the way.
func (e *env) advance(d time.Duration) {
	e.T.Helper()
	end := e.Now + int64(d)
	for steps := 0; ; steps++ {
		at := e.h.NextDeadline()
		if at > end {
			break
		}
		if steps > 10000 {
			e.T.Fatalf("the handler spins: deadline %v, %v before the end", at, time.Duration(end-at))
		}
		e.Now = max(e.Now, at)
		e.turn(0)
	}
	e.Now = end
	e.turn(0)
}

// live finds the only connection of the table.
func (e *env) live() (uint32, *conn) {
	e.T.Helper()
	found := flow.None
	e.h.table.All(func(i uint32) { found = i })
	if found == flow.None || e.h.Len() != 1 {
		e.T.Fatalf("%d connections, want 1", e.h.Len())
	}
	return found, &e.h.conns[found]
}

// hostListener is a listening socket of the test on the host.
func hostListener(t testing.TB, address string, rcvbuf int) *net.TCPListener {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if rcvbuf == 0 {
			return nil
		}
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, rcvbuf)
		})
	}}
	l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}

func portOf(a net.Addr) uint16 { return a.(*net.TCPAddr).AddrPort().Port() }

// accept takes the connection that the handler made.
func accept(t testing.TB, l *net.TCPListener) *net.TCPConn {
	t.Helper()
	_ = l.SetDeadline(time.Now().Add(patience))
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatalf("accept on host: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// listen gives the handler a listener that forwards to port target of the guest.
func (e *env) listen(target uint16) *net.TCPAddr {
	e.T.Helper()
	l := hostListener(e.T, "127.0.0.1", 0)
	a := l.Addr().(*net.TCPAddr)
	port := uint16(a.Port)
	fd := coretest.TakeFD(e.T, l)
	rule := fwd.Rule{Proto: fwd.TCP, First: port, Last: port, Target: target}
	if err := e.h.AddListener(config.Listener{FD: fd, Rule: rule, Port: port}); err != nil {
		e.T.Fatal(err)
	}
	return a
}

// expectGone checks that the connection left nothing behind.
func (e *env) expectGone() {
	e.T.Helper()
	if e.h.Len() != 0 || e.h.pool.left != len(e.h.pool.meta) {
		e.T.Fatalf("%d connections and %d chunks left, want none", e.h.Len(), len(e.h.pool.meta)-e.h.pool.left)
	}
	if at := e.h.NextDeadline(); at != loop.NoDeadline {
		e.T.Fatalf("deadline %v left", at)
	}
}
