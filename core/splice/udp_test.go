package splice

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// udpEnv is a UDP handler with a listener, whose datagrams the test hands over as
// core/udp does, and a server.
type udpEnv struct {
	t        testing.TB
	h        *UDP
	lp       *loop.Loop
	sockets  *fakeSockets
	now      int64
	listener int
	front    netip.AddrPort
	server   int
	target   fwd.Target
	in       *sys.RecvBatch
	family   int
}

// datagramSocket is a socket bound to a port of addr that the kernel chooses.
func datagramSocket(t testing.TB, addr string) (fd int, at netip.AddrPort) {
	t.Helper()
	return bound(t, addr, syscall.SOCK_DGRAM)
}

func newUDPEnv(t testing.TB, pif fwd.Pif, addr string, o UDPOptions) *udpEnv {
	t.Helper()
	lp, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	e := &udpEnv{t: t, lp: lp, sockets: &fakeSockets{left: 1 << 20}, in: sys.NewRecvBatch(udpSlots, udpLen)}
	e.h = NewUDP(lp, pif, e.sockets, o)
	var at netip.AddrPort
	e.listener, e.front = datagramSocket(t, addr)
	e.server, at = datagramSocket(t, addr)
	e.family = sys.Family(at.Addr().As16())
	if errno := sys.SetPktInfo(e.listener, e.family); errno != 0 {
		t.Fatal(errno)
	}
	e.target = fwd.Target{Pif: pif.Other(), Addr: packet.Addr(at.Addr().As16()), Port: at.Port()}
	t.Cleanup(func() {
		e.h.Close()
		lp.Close()
		if e.listener >= 0 {
			sys.Close(e.listener)
		}
		if e.server >= 0 {
			sys.Close(e.server)
		}
	})
	return e
}

// turn hands over what the listener has, and handles events.
func (e *udpEnv) turn() {
	e.t.Helper()
	if n, errno := e.in.Recv(e.listener, udpSlots, 0); errno == 0 { // EBADF once it is closed
		for m := range n {
			var c sys.Control
			e.in.Control(m, &c)
			addr, port := e.in.From(m).AddrPort()
			from := fwd.Client{
				Listener: e.listener, Family: e.family, Port: e.front.Port(),
				Addr: addr, Local: c.Dst, AddrPort: port,
			}
			e.h.Datagram(from, e.target, e.in.Payload(m), c.Segment, e.now)
		}
		e.h.Flush()
	}
	events, err := e.lp.Wait(0)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, ev := range events {
		pif, i := UDPToken(ev.Token.Index())
		if ev.Token.Kind() != loop.KindSpliceUDP || pif != e.h.pif {
			e.t.Fatalf("event of kind %d, pif %v", ev.Token.Kind(), pif)
		}
		e.h.FromSock(i, ev.Token.Gen(), ev.Bits, e.now)
	}
}

// receive waits for a datagram at fd.
func (e *udpEnv) receive(fd int) (text string, from netip.AddrPort) {
	e.t.Helper()
	one := sys.NewRecvBatch(1, udpLen)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		e.turn()
		if _, errno := one.Recv(fd, 1, 0); errno == 0 {
			return string(one.Payload(0)), one.From(0).Netip()
		}
	}
	e.t.Fatalf("no datagram after %v", patience)
	return "", from
}

// client is a socket connected to the listener.
func (e *udpEnv) client() peer {
	e.t.Helper()
	p := connectedTo(e.t, e.front, syscall.SOCK_DGRAM)
	e.t.Cleanup(func() { sys.Close(p.fd) })
	return p
}

// oneFlow is an environment with a flow of client c, which the server sees at from.
func oneFlow(t testing.TB, pif fwd.Pif) (e *udpEnv, c peer, from netip.AddrPort) {
	t.Helper()
	e = newUDPEnv(t, pif, "127.0.0.1", UDPOptions{})
	c = e.client()
	c.write([]byte("x"))
	_, from = e.receive(e.server)
	return e, c, from
}

func (e *udpEnv) serverSends(to netip.AddrPort, text string) {
	e.t.Helper()
	sendTo(e.t, e.server, to, text)
}

func sendTo(t testing.TB, fd int, to netip.AddrPort, text string) {
	t.Helper()
	var sa syscall.Sockaddr = &syscall.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
	if to.Addr().Is4() {
		sa = &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	if err := syscall.Sendto(fd, []byte(text), syscall.MSG_DONTWAIT, sa); err != nil {
		t.Fatal(err)
	}
}

func TestDatagramsBothWays(t *testing.T) {
	for _, addr := range loopbacks {
		for _, pif := range []fwd.Pif{fwd.Host, fwd.Splice} {
			t.Run(fmt.Sprint(addr, " ", pif), func(t *testing.T) {
				e := newUDPEnv(t, pif, addr, UDPOptions{})
				c := e.client()
				for _, text := range []string{"question", "", "x", string(make([]byte, 9000)), string(make([]byte, 65000))} {
					c.write([]byte(text))
					got, from := e.receive(e.server)
					if got != text {
						t.Fatalf("server got %d bytes, want %d", len(got), len(text))
					}
					e.serverSends(from, "re: "+text[:min(len(text), 100)])
					if got, from := e.receive(c.fd); got != "re: "+text[:min(len(text), 100)] || from != e.front {
						t.Fatalf("client got %d bytes from %v, want an answer from %v", len(got), from, e.front)
					}
				}
				if e.h.Len() != 1 || e.h.Stats.Flows != 1 || e.h.Stats.ToTarget != 5 || e.h.Stats.ToClient != 5 {
					t.Errorf("%d flows, statistics %+v, want one with 5 datagrams each way", e.h.Len(), e.h.Stats)
				}
			})
		}
	}
}

// TestSourcePort: it is kept as long as it is free where the target is; here, where
// all are in one namespace, only if the client is gone.
func TestSourcePort(t *testing.T) {
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{})
	c := e.client()
	var sa sys.SockAddr
	_ = sys.LocalAddr(c.fd, &sa)
	c.write([]byte("taken"))
	if _, from := e.receive(e.server); from.Port() == sa.Netip().Port() {
		t.Errorf("source port %d, want another than the client's own", from.Port())
	}
	fd, gone := datagramSocket(t, "127.0.0.1")
	sys.Close(fd)
	e.h.Datagram(fwd.Client{
		Listener: e.listener, Family: e.family, Port: e.front.Port(), AddrPort: gone.Port(),
		Addr: gone.Addr().As16(), Local: e.front.Addr().As16(),
	}, e.target, []byte("free"), 0, 0)
	e.h.Flush()
	if text, from := e.receive(e.server); text != "free" || from.Port() != gone.Port() {
		t.Errorf("%q from port %d, want the client's %d", text, from.Port(), gone.Port())
	}
}

// TestBurst: datagrams of many sizes arrive in order and whole, joined or not.
func TestBurst(t *testing.T) {
	sizes := []int{100, 100, 100, 50, 100, 0, 0, 7, 7, 7, 7, 9000, 9000, 9000, 1, 200, 300, 300, 299}
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{})
	c := e.client()
	for i, n := range sizes {
		c.write(pieceOf(i, n))
	}
	var from netip.AddrPort
	for i, n := range sizes {
		var got string
		if got, from = e.receive(e.server); got != string(pieceOf(i, n)) {
			t.Fatalf("datagram %d has %d bytes, want %d with its pattern", i, len(got), n)
		}
	}
	for i, n := range sizes {
		e.serverSends(from, string(pieceOf(i, n)))
	}
	for i, n := range sizes {
		if got, _ := e.receive(c.fd); got != string(pieceOf(i, n)) {
			t.Fatalf("answer %d has %d bytes, want %d with its pattern", i, len(got), n)
		}
	}
	if e.h.Stats.Dropped != 0 {
		t.Errorf("%d dropped, want none", e.h.Stats.Dropped)
	}
}

func pieceOf(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i + j*3)
	}
	return b
}

func TestClientsHaveTheirOwnFlows(t *testing.T) {
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{})
	a, b := e.client(), e.client()
	a.write([]byte("a"))
	_, fromA := e.receive(e.server)
	b.write([]byte("b"))
	_, fromB := e.receive(e.server)
	if fromA == fromB {
		t.Fatalf("both come from %v", fromA)
	}
	e.serverSends(fromB, "to b")
	e.serverSends(fromA, "to a")
	if got, _ := e.receive(a.fd); got != "to a" {
		t.Errorf("a got %q", got)
	}
	if got, _ := e.receive(b.fd); got != "to b" {
		t.Errorf("b got %q", got)
	}
}

// TestStrangersAreNotHeard: the socket in the target's namespace is the client's.
func TestStrangersAreNotHeard(t *testing.T) {
	e, c, from := oneFlow(t, fwd.Host)
	stranger, _ := datagramSocket(t, "127.0.0.1")
	defer sys.Close(stranger)
	_ = syscall.Sendto(stranger, []byte("forged"), 0,
		&syscall.SockaddrInet4{Addr: from.Addr().As4(), Port: int(from.Port())})
	e.serverSends(from, "true")
	if got, _ := e.receive(c.fd); got != "true" {
		t.Errorf("client got %q", got)
	}
}

func TestRefusedDatagramsDoNotEndAFlow(t *testing.T) {
	e, c, from := oneFlow(t, fwd.Host)
	sys.Close(e.server)
	for range 3 {
		c.write([]byte("refused"))
		e.turn()
		e.turn()
	}
	sa := sys.MakeSockAddr(e.target.Addr, e.target.Port, 0)
	e.server, _ = sys.Socket(e.family, syscall.SOCK_DGRAM, 0)
	if errno := sys.Bind(e.server, &sa); errno != 0 {
		t.Fatal(errno)
	}
	c.write([]byte("back"))
	if got, again := e.receive(e.server); got != "back" || again != from {
		t.Errorf("server got %q from %v, want the flow of %v", got, again, from)
	}
}

func TestIdleFlowsEnd(t *testing.T) {
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{OneWay: time.Second, Stream: time.Minute})
	quiet, talking := e.client(), e.client()
	before := descriptors(t)
	quiet.write([]byte("x"))
	e.receive(e.server)
	talking.write([]byte("x"))
	_, from := e.receive(e.server)
	e.serverSends(from, "y")
	e.receive(talking.fd)
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{999 * time.Millisecond, 2}, {time.Second, 1}, {59 * time.Second, 1}, {time.Minute, 0}} {
		e.now = int64(step.at)
		e.h.Expire(e.now)
		if n := e.h.Len(); n != step.want {
			t.Errorf("%d flows after %v, want %d", n, step.at, step.want)
		}
	}
	if e.h.NextDeadline() != loop.NoDeadline {
		t.Errorf("deadline %d without flows", e.h.NextDeadline())
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, want %d", n, before)
	}
}

// A full table and a spent share take from the flows there are.
func TestUDPRecycles(t *testing.T) {
	for _, pif := range []fwd.Pif{fwd.Host, fwd.Splice} {
		t.Run(pif.String(), func(t *testing.T) {
			e := newUDPEnv(t, pif, "127.0.0.1", UDPOptions{MaxFlows: 2})
			before := descriptors(t)
			for n := range 4 {
				e.now++
				c := e.client()
				c.write([]byte{byte(n)})
				if got, _ := e.receive(e.server); got != string([]byte{byte(n)}) {
					t.Errorf("server got %q, want datagram %d", got, n)
				}
			}
			if n := descriptors(t) - before; n != 4+2 || e.h.Len() != 2 || e.h.Stats.Recycled != 2 {
				t.Errorf("%d more descriptors, %d flows, %d recycled, want those of 4 clients and 2 flows", n, e.h.Len(), e.h.Stats.Recycled)
			}
			e.h.Recycle() // the table has room
			e.h.share = hostsock.Share{}
			c := e.client()
			c.write([]byte("z"))
			e.turn()
			if e.h.Stats.Recycled != 4 || e.h.Len() > 1 {
				t.Errorf("%d recycled, %d flows beyond the share", e.h.Stats.Recycled, e.h.Len())
			}
		})
	}
}

func TestUDPWithoutSockets(t *testing.T) {
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{})
	e.sockets.left = 0
	c := e.client()
	for i := range waitSlots + 2 {
		c.write([]byte{byte(i)})
	}
	e.turn()
	if e.h.Stats.Dropped != 2 {
		t.Errorf("%d dropped, want the 2 for which there was no room", e.h.Stats.Dropped)
	}
	e.h.Resume(e.now) // too early
	e.sockets.left = 1
	e.h.Resume(e.now)
	for i := range waitSlots {
		if got, _ := e.receive(e.server); got != string([]byte{byte(i)}) {
			t.Fatalf("datagram %d is %q", i, got)
		}
	}
}

// TestUDPWithoutSocketsEver: what cannot be sent at all is dropped.
func TestUDPWithoutSocketsEver(t *testing.T) {
	e := newUDPEnv(t, fwd.Host, "127.0.0.1", UDPOptions{})
	e.h.sockets = nil
	c := e.client()
	c.write([]byte("x"))
	e.turn()
	if e.h.Stats.Dropped != 1 || e.h.Len() != 0 {
		t.Errorf("%d dropped, %d flows, want one and none", e.h.Stats.Dropped, e.h.Len())
	}
}

func TestUDPDoesNotAllocate(t *testing.T) {
	e, c, from := oneFlow(t, fwd.Host)
	back := sys.MakeSockAddr(from.Addr().As16(), from.Port(), 0)
	if errno := sys.Connect(e.server, &back); errno != 0 {
		t.Fatal(errno)
	}
	b := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		for range 10 {
			c.write(b)
		}
		e.turn()
		for range 10 {
			_, _ = sys.Recv(e.server, b, sys.MsgDontwait)
			_, _ = sys.Send(e.server, b, sys.MsgDontwait)
		}
		e.turn()
		for range 10 {
			_, _ = c.read(b)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
