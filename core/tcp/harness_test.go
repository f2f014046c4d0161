package tcp

import (
	"fmt"
	"io"
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
			e.h.FromListener(ev.Token.Index(), e.now)
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

// seg is a segment in a test; sequence numbers count from the initial ones, so that
// the SYN has number 0.
type seg struct {
	flags    uint8
	seq, ack int
	wnd      uint16
	data     string
}

// String keeps failures readable.
func (s seg) String() string {
	d := fmt.Sprintf("%q", s.data)
	if len(s.data) > 40 {
		d = fmt.Sprintf("%q... (%d bytes)", s.data[:20], len(s.data))
	}
	return fmt.Sprintf("{flags %#x seq %d ack %d wnd %d %s}", s.flags, s.seq, s.ack, s.wnd, d)
}

// peer is the guest's end of one connection, acted by the test.
type peer struct {
	*env
	guest, remote netip.AddrPort
	iss, irs      seqnum.Value
	mss           uint16
	shift         int8 // window scale offered in SYN; -1: none
	host          *net.TCPConn
	last          *coretest.Frame
	read          int // bytes of pattern that the host has read
}

// newPeer is an end that has not sent anything yet; remote's port is the one
// on the host.
func (e *env) newPeer(remotePort uint16) *peer {
	return &peer{
		env: e, guest: netip.AddrPortFrom(guest4, guestPort), remote: netip.AddrPortFrom(gateway4, remotePort),
		iss: guestISS, mss: 1460, shift: 0,
	}
}

// key is the connection's key in the flow table.
func (p *peer) key() *flow.Key {
	return &flow.Key{
		Guest: packet.AddrFrom(p.guest.Addr()), Peer: packet.AddrFrom(p.remote.Addr()),
		GuestPort: p.guest.Port(), PeerPort: p.remote.Port(),
	}
}

// connOf is the handler's end of p.
func (e *env) connOf(p *peer) *conn { return &e.h.conns[e.h.table.Lookup(p.key())] }

// inject queues a segment of the guest without handling it yet.
func (p *peer) inject(s seg) {
	p.t.Helper()
	h := packet.TCPHeader{Flags: s.flags, Seq: p.iss + seqnum.Value(s.seq), Window: s.wnd, WScale: -1}
	if s.flags&packet.ACK != 0 {
		h.Ack = p.irs + seqnum.Value(s.ack)
	}
	if s.flags&packet.SYN != 0 {
		h.MSS, h.WScale = p.mss, p.shift
	}
	p.dev.Inject(coretest.TCP(p.guest, p.remote, h, []byte(s.data)))
}

// send has the guest send segments in one batch, and handles them.
func (p *peer) send(list ...seg) {
	p.t.Helper()
	for _, s := range list {
		p.inject(s)
	}
	p.turn(0)
}

// got takes the segments sent to the guest so far. IRS is learnt from a SYN.
func (p *peer) got() []seg {
	p.t.Helper()
	var list []seg
	for _, f := range p.dev.Take(p.t) {
		s := f.TCP(p.t)
		if s.DstPort() != p.guest.Port() || s.SrcPort() != p.remote.Port() {
			p.t.Fatalf("segment %d -> %d, want %d -> %d", s.SrcPort(), s.DstPort(), p.remote.Port(), p.guest.Port())
		}
		if s.Flags()&packet.SYN != 0 {
			p.irs = s.Seq()
		}
		one := seg{flags: s.Flags(), seq: int(s.Seq() - p.irs), wnd: s.Window(), data: string(s.Payload())}
		if s.Flags()&packet.ACK != 0 {
			one.ack = int(s.Ack() - p.iss)
		}
		p.last = f
		list = append(list, one)
	}
	return list
}

// anyWnd in an expected segment stands for any window.
const anyWnd = 0xffff

func (s seg) matches(want seg) bool {
	if want.wnd == anyWnd {
		s.wnd = anyWnd
	}
	return s == want
}

// expect checks what was sent to the guest, all of it.
func (p *peer) expect(want ...seg) {
	p.t.Helper()
	p.compare(p.got(), want)
}

func (p *peer) compare(got, want []seg) {
	p.t.Helper()
	if len(got) != len(want) {
		p.t.Fatalf("guest got %v, want %v", got, want)
	}
	for i := range got {
		if !got[i].matches(want[i]) {
			p.t.Fatalf("segment %d to guest is %v, want %v", i, got[i], want[i])
		}
	}
}

// await waits until the guest was sent as many segments as are wanted, and
// checks them.
func (p *peer) await(want ...seg) {
	p.t.Helper()
	var got []seg
	p.until("segments to the guest", func() bool {
		got = append(got, p.got()...)
		return len(got) >= len(want)
	})
	p.compare(got, want)
}

// Shorthands for expected and sent segments.
const (
	fin, syn, rst, psh, ack = packet.FIN, packet.SYN, packet.RST, packet.PSH, packet.ACK
)

func pureAck(seq, ackNo int) seg { return seg{flags: ack, seq: seq, ack: ackNo, wnd: anyWnd} }

func data(seq, ackNo int, b string) seg {
	return seg{flags: ack | psh, seq: seq, ack: ackNo, wnd: anyWnd, data: b}
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

// outbound opens a connection from the guest to a listener on the host. The guest
// offers its window unscaled.
func (e *env) outbound() *peer { return e.outboundTo(hostListener(e.t, "127.0.0.1", 0)) }

func (e *env) outboundTo(l *net.TCPListener) *peer {
	e.t.Helper()
	p := e.newPeer(portOf(l.Addr()))
	p.connect(l)
	return p
}

// connect does the handshake of an outbound connection.
func (p *peer) connect(l *net.TCPListener) {
	p.t.Helper()
	p.send(seg{flags: syn, wnd: 65535})
	p.host = accept(p.t, l)
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 65535})
	p.expect()
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

// dial connects to a listener of the handler.
func dial(t testing.TB, a *net.TCPAddr) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, a)
	if err != nil {
		t.Fatalf("connect to listener: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// called has a client on the host connect, and returns the guest's end after it
// was sent the SYN.
func (e *env) called() *peer {
	e.t.Helper()
	c := dial(e.t, e.listen(guestPort))
	p := e.newPeer(portOf(c.LocalAddr()))
	p.host = c
	p.await(seg{flags: syn, wnd: 65535})
	return p
}

// inbound opens a connection from a client on the host to the guest.
func (e *env) inbound() *peer {
	e.t.Helper()
	p := e.called()
	p.send(seg{flags: syn | ack, ack: 1, wnd: 65535})
	p.expect(pureAck(1, 1))
	return p
}

// hostGets reads n bytes on the host.
func (p *peer) hostGets(want string) {
	p.t.Helper()
	b := make([]byte, len(want))
	_ = p.host.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(p.host, b); err != nil || string(b) != want {
		p.t.Fatalf("host read %q, %v, want %q", b[:n], err, want)
	}
}

// hostGetsEnd checks how the stream ends on the host: io.EOF or an errno.
func (p *peer) hostGetsEnd(want error) {
	p.t.Helper()
	_ = p.host.SetReadDeadline(time.Now().Add(patience))
	n, err := p.host.Read(make([]byte, 1))
	if n != 0 || !errorIs(err, want) {
		p.t.Fatalf("host read %d bytes and %v, want %v", n, err, want)
	}
}

// hostSends writes b on the host.
func (p *peer) hostSends(b string) {
	p.t.Helper()
	_ = p.host.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.host.Write([]byte(b)); err != nil {
		p.t.Fatalf("host write: %v", err)
	}
}

// hostResets closes the host's end with RST.
func (p *peer) hostResets() {
	p.t.Helper()
	if err := p.host.SetLinger(0); err != nil {
		p.t.Fatal(err)
	}
	_ = p.host.Close()
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
