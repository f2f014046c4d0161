package udp

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
	"github.com/pasta-net/pasta/core/tap"
)

// Addresses of the tests: the gateway stands for the host's loopback.
var (
	guest4, guest6     = netip.MustParseAddr("10.66.0.2"), netip.MustParseAddr("fd66::2")
	gateway4, gateway6 = netip.MustParseAddr("10.66.0.1"), netip.MustParseAddr("fd66::1")
)

// family bundles what differs between IPv4 and IPv6.
type family struct {
	name           string
	guest, gateway netip.Addr
	loopback       string
}

var families = []family{
	{"IPv4", guest4, gateway4, "127.0.0.1"},
	{"IPv6", guest6, gateway6, "::1"},
}

// env is a handler between an in-memory guest and real sockets.
type env struct {
	lastListener int // socket of the last call of listen
	t            testing.TB
	h            *Handler
	dev          *coretest.MemTap
	link         *tap.Link
	lp           *loop.Loop
	bufs         [][]byte
	now          int64
}

func testConfig() *config.Config {
	fam := func(guest, gateway netip.Addr) config.Family {
		return config.Family{Enabled: true, Guest: guest, Gateway: gateway, Our: gateway, MapHostLoopback: gateway}
	}
	return &config.Config{V4: fam(guest4, gateway4), V6: fam(guest6, gateway6), UDP: true}
}

func newEnv(t testing.TB, feat tap.Features) *env { return newEnvWith(t, feat, testConfig()) }

func newEnvWith(t testing.TB, feat tap.Features, cfg *config.Config) *env {
	t.Helper()
	link, dev := coretest.NewLink(t, feat)
	lp, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lp.Close)
	h := New(cfg, cfg.Map(), link, lp, slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return &env{t: t, h: h, dev: dev, link: link, lp: lp}
}

// shrink replaces the flow table by one of so many slots.
func (e *env) shrink(slots int) {
	e.h.table, e.h.deadlines = flow.NewTable(slots), flow.NewDeadlines(slots)
	e.h.strangers = flow.NewDeadlines(slots)
}

// deliver hands all frames that the guest queued to the handler, in one batch.
func (e *env) deliver() {
	e.t.Helper()
	var p packet.Packet
	for i := 0; ; i++ {
		if i == len(e.bufs) {
			e.bufs = append(e.bufs, make([]byte, tap.RecvLen))
		}
		drop, errno := e.link.Recv(e.bufs[i], &p)
		if errno == syscall.EAGAIN {
			break
		}
		switch {
		case drop != packet.DropNone:
		case p.Proto == packet.ProtoUDP:
			e.h.FromTap(&p, e.now)
		case p.Proto == packet.ProtoICMP || p.Proto == packet.ProtoICMPv6:
			e.h.FromGuestError(&p)
		}
	}
	e.h.Flush()
}

// guestSends has the guest send frames in one batch.
func (e *env) guestSends(frames ...[]byte) {
	e.t.Helper()
	for _, f := range frames {
		e.dev.Inject(f)
	}
	e.deliver()
}

// turn handles the events that are pending, if any, and what is read at intervals.
func (e *env) turn() {
	e.dispatch()
	if len(e.h.paced) > 0 { // whatever the test's clock says
		e.h.poll(e.now)
	}
}

// dispatch handles the events that are pending, if any.
func (e *env) dispatch() {
	events, err := e.lp.Wait(0)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, ev := range events {
		switch ev.Token.Kind() {
		case loop.KindUDP:
			e.h.FromSock(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.now)
		case loop.KindUDPListen:
			e.h.FromListener(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.now)
		}
	}
}

// guestGets turns the loop until the guest got want datagrams or a second has
// passed, and returns what it got.
func (e *env) guestGets(want int) []*coretest.Frame {
	e.t.Helper()
	var frames []*coretest.Frame
	for end := time.Now().Add(time.Second); ; {
		e.turn()
		frames = append(frames, e.dev.Take(e.t)...)
		if n := len(coretest.Datagrams(e.t, frames)); n >= want || time.Now().After(end) {
			if n != want {
				e.t.Errorf("guest got %d datagrams, want %d", n, want)
			}
			return frames
		}
	}
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

// receive reads one datagram from c, waiting at most a second.
func receive(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 1<<16)
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
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
	e.t.Helper()
	c := hostSocket(e.t, address)
	f, err := c.File()
	if err != nil {
		e.t.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		e.t.Fatal(err)
	}
	_ = f.Close()
	local := addrOf(c)
	_ = c.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		e.t.Fatal(err)
	}
	rule := fwd.Rule{Proto: fwd.UDP, First: local.Port(), Last: local.Port(), Target: target, TargetAddr: toAddr}
	if err := e.h.AddListener(config.Listener{FD: fd, Rule: rule, Port: local.Port()}); err != nil {
		e.t.Fatal(err)
	}
	e.lastListener = fd
	return local
}
