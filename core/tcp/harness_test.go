package tcp

import (
	"log/slog"
	"net"
	"net/netip"
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

// Addresses of the tests: the gateway stands for the host's loopback.
var (
	guest4, guest6     = netip.MustParseAddr("10.66.0.2"), netip.MustParseAddr("fd66::2")
	gateway4, gateway6 = netip.MustParseAddr("10.66.0.1"), netip.MustParseAddr("fd66::1")
)

const (
	guestPort = 40000
	guestISS  = seqnum.Value(1000)
	// patience is how long, in real time, a test waits for the host's kernel.
	patience = 5 * time.Second
)

// setup says how an env differs from the usual one. Zero fields: the usual.
type setup struct {
	opts  Options
	feat  tap.Features
	plain bool // a tap without any feature, instead of all
	mtu   int
	wrap  func(tap.Device) tap.Device // to spoil the tap in other ways
}

// env is a handler between an in-memory guest and real sockets on the host's
// loopback, driven as the engine drives it, by a clock that the test moves.
type env struct {
	t     testing.TB
	h     *Handler
	dev   *coretest.MemTap
	link  *tap.Link
	lp    *loop.Loop
	slots [16][]byte
	pkts  [16]packet.Packet
	now   int64
}

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
	e := &env{t: t, now: int64(time.Hour)}
	e.dev = coretest.NewMemTap(t, s.feat)
	var dev tap.Device = e.dev
	if s.wrap != nil {
		dev = s.wrap(dev)
	}
	e.link = tap.NewLink(dev, coretest.OurMAC, coretest.GuestMAC)
	var err error
	if e.lp, err = loop.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.lp.Close)
	cfg := testConfig(s.mtu)
	e.h = New(cfg, cfg.Map(), e.link, e.lp, slog.New(slog.DiscardHandler), s.opts)
	t.Cleanup(e.h.Close)
	for i := range e.slots {
		e.slots[i] = make([]byte, tap.RecvLen)
	}
	return e
}

func testConfig(mtu int) *config.Config {
	fam := func(guest, gateway netip.Addr) config.Family {
		return config.Family{Enabled: true, Guest: guest, Gateway: gateway, Our: gateway, MapHostLoopback: gateway}
	}
	if mtu == 0 {
		mtu = 1500
	}
	return &config.Config{MTU: mtu, V4: fam(guest4, gateway4), V6: fam(guest6, gateway6), TCP: true}
}

// turn is one turn of the engine, without sleeping longer than wait for events.
func (e *env) turn(wait time.Duration) {
	e.t.Helper()
	e.fromTap()
	deadline := int64(0)
	if wait > 0 {
		deadline = e.lp.Now() + int64(wait)
	}
	events, err := e.lp.Wait(deadline)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, ev := range events {
		switch ev.Token.Kind() {
		case loop.KindTCP:
			e.h.FromSock(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.now)
		case loop.KindTCPListen:
			e.h.FromListener(ev.Token.Index(), ev.Token.Gen(), e.now)
		}
	}
	if e.h.NextDeadline() <= e.now {
		e.h.Expire(e.now)
	}
	e.h.RunBacklog(e.now)
	e.h.Flush(e.now)
}

// fromTap hands the frames that the guest queued to the handler, in batches.
func (e *env) fromTap() {
	for n := len(e.slots); n == len(e.slots); {
		for n = 0; n < len(e.slots); n++ {
			drop, errno := e.link.Recv(e.slots[n], &e.pkts[n])
			if errno == syscall.EAGAIN {
				break
			}
			if drop == packet.DropNone && e.pkts[n].Proto == packet.ProtoTCP {
				e.h.FromTap(&e.pkts[n], e.now)
			}
		}
		e.h.Flush(e.now)
	}
}

// until turns the loop until cond holds. It waits for the host's kernel, never
// for our own clock, which stands still.
func (e *env) until(what string, cond func() bool) {
	e.t.Helper()
	e.turn(0)
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			e.t.Fatalf("waited in vain for: %s", what)
		}
		e.turn(time.Millisecond)
	}
}

// advance moves the clock on by d, stopping at every deadline on the way.
func (e *env) advance(d time.Duration) {
	e.t.Helper()
	end := e.now + int64(d)
	for steps := 0; ; steps++ {
		at := e.h.NextDeadline()
		if at > end {
			break
		}
		if steps > 10000 {
			e.t.Fatalf("the handler spins: deadline %v, %v before the end", at, time.Duration(end-at))
		}
		e.now = max(e.now, at)
		e.turn(0)
	}
	e.now = end
	e.turn(0)
}

// live finds the only connection of the table.
func (e *env) live() (uint32, *conn) {
	e.t.Helper()
	found := flow.None
	e.h.table.All(func(i uint32) { found = i })
	if found == flow.None || e.h.Len() != 1 {
		e.t.Fatalf("%d connections, want 1", e.h.Len())
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
	e.t.Helper()
	l := hostListener(e.t, "127.0.0.1", 0)
	f, err := l.File()
	if err != nil {
		e.t.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		e.t.Fatal(err)
	}
	_ = f.Close()
	a := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		e.t.Fatal(err)
	}
	port := uint16(a.Port)
	rule := fwd.Rule{Proto: fwd.TCP, First: port, Last: port, Target: target}
	if err := e.h.AddListener(config.Listener{FD: fd, Rule: rule, Port: port}); err != nil {
		e.t.Fatal(err)
	}
	return a
}

// expectGone checks that the connection left nothing behind.
func (e *env) expectGone() {
	e.t.Helper()
	if e.h.Len() != 0 || e.h.pool.left != len(e.h.pool.meta) {
		e.t.Fatalf("%d connections and %d chunks left, want none", e.h.Len(), len(e.h.pool.meta)-e.h.pool.left)
	}
	if at := e.h.NextDeadline(); at != loop.NoDeadline {
		e.t.Fatalf("deadline %v left", at)
	}
}
