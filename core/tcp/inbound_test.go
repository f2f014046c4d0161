package tcp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

func TestSynIsSentAgainThenReset(t *testing.T) {
	p := newEnv(t, setup{}).called()
	checkSynRetries(t, p, seg{flags: syn, wnd: 65535}, seg{flags: rst, seq: 1})
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

func TestInboundConnection(t *testing.T) {
	p := newEnv(t, setup{}).inbound()
	p.hostSends("hello")
	p.await(data(1, 1, "hello"))
	p.send(seg{flags: ack | psh, seq: 1, ack: 6, wnd: 65535, data: "world"})
	p.hostGets("world")
	p.expect(pureAck(6, 6))
}

func TestInboundRefusedByGuest(t *testing.T) {
	p := newEnv(t, setup{}).called()
	p.send(seg{flags: rst | ack, ack: 1})
	p.expect()
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

func TestSynSent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    seg
		want  []seg
		state state // closed: the connection is gone
	}{
		{"SYN,ACK", seg{flags: syn | ack, ack: 1, wnd: 100}, []seg{pureAck(1, 1)}, established},
		{"SYN,ACK of something else", seg{flags: syn | ack, ack: 7, wnd: 100}, []seg{{flags: rst, seq: 7}}, synSent},
		{"ACK without SYN", seg{flags: ack, seq: 1, ack: 1, wnd: 100}, nil, synSent},
		{"ACK of something else", seg{flags: ack, seq: 1, ack: 2, wnd: 100}, []seg{{flags: rst, seq: 2}}, synSent},
		{"RST", seg{flags: rst}, nil, synSent},
		{"RST,ACK of something else", seg{flags: rst | ack, ack: 2}, nil, synSent},
		{"RST,ACK", seg{flags: rst | ack, ack: 1}, nil, closed},
		{"SYN", seg{flags: syn, wnd: 100}, []seg{{flags: syn | ack, ack: 1, wnd: 65535}}, synRcvd},
		{"FIN", seg{flags: fin}, nil, synSent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).called()
			p.send(tt.in)
			p.expect(tt.want...)
			checkState(t, p.env, tt.state)
		})
	}
}

func TestSimultaneousOpen(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   seg
	}{
		{"guest answers with SYN,ACK", seg{flags: syn | ack, ack: 1, wnd: 65535}}, // RFC 9293 figure 7
		{"guest answers with ACK", seg{flags: ack, seq: 1, ack: 1, wnd: 65535}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).called()
			p.send(seg{flags: syn, wnd: 65535})
			p.expect(seg{flags: syn | ack, ack: 1, wnd: 65535})
			p.send(tt.in)
			checkState(t, p.env, established)
			p.got()
			p.send(seg{flags: ack | psh, seq: 1, ack: 1, wnd: 65535, data: "x"})
			p.hostGets("x")
			p.expect(pureAck(1, 2))
		})
	}
}

func TestFlowTableFull(t *testing.T) {
	e := newEnv(t, setup{opts: Options{MaxFlows: 1}})
	a := e.listen(guestPort)
	p := e.outbound()
	q := e.newPeer(p.remote.Port())
	q.guest = netip.AddrPortFrom(guest4, guestPort+1)
	q.send(seg{flags: syn, wnd: 65535})
	q.expect()
	if got := e.Link.Stats.Drops[packet.DropTableFull]; got != 1 {
		t.Errorf("%d drops for a full table, want 1", got)
	}
	c := dial(t, a)
	e.until("pause of the listener", func() bool { return e.h.paused != 0 })
	e.turn(0)
	if e.Dev.Sent() != 0 {
		t.Fatal("the client was accepted although the table is full")
	}
	p.send(seg{flags: rst, seq: 1})
	e.advance(time.Duration(listenPause))
	q = e.newPeer(portOf(c.LocalAddr()))
	q.await(seg{flags: syn, wnd: 65535})
}

func TestConnectionsOutliveTheirListener(t *testing.T) {
	p := newEnv(t, setup{}).inbound()
	i := uint32(0)
	l := p.h.listeners.Value(i)
	gen, to := p.h.listeners.Gen(i), netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), l.Port)
	p.h.RemoveListener(l.FD)
	p.hostSends("hello")
	p.await(data(1, 1, "hello"))
	if _, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect to the removed listener: %v, want connection refused", err)
	}
	p.h.FromListener(i, gen, p.Now) // an event that was reported before
	if p.h.Len() != 1 {
		t.Errorf("%d connections, want 1", p.h.Len())
	}
}

// TestPeekingIsNotInherited plays a kernel whose listeners pass nothing of it on.
func TestPeekingIsNotInherited(t *testing.T) {
	e := newEnv(t, setup{})
	a := e.listen(guestPort)
	l := e.h.listeners.Value(0)
	_ = sys.SetPeekOff(l.FD, -1)
	for range 2 {
		p := e.newPeer(portOf(dial(t, a).LocalAddr()))
		p.await(seg{flags: syn, wnd: 65535})
		i, c := p.live()
		if e.h.skipLen == 0 && (l.inherits || !e.h.peeks(c.fd32())) {
			t.Errorf("inherits: %v, peeks: %v, want false, true", l.inherits, e.h.peeks(c.fd32()))
		}
		e.h.abort(i, c)
	}
}

func TestConnectionsThatCrowd(t *testing.T) {
	const clients = 5
	for _, tt := range []struct {
		name  string
		since time.Duration // the listener's event before
		want  int
	}{
		{"after a pause one", time.Second, 1},
		{"at the end of the limit one", time.Duration(crowdedWithin), 1},
		{"right after another all", time.Duration(crowdedWithin) - 1, clients},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			a := e.listen(guestPort)
			for range clients {
				dial(t, a)
			}
			l := e.h.listeners.Value(0)
			l.last = e.Now - int64(tt.since)
			if got := e.h.FromListener(0, e.h.listeners.Gen(0), e.Now); got != tt.want {
				t.Errorf("%d connections opened, want %d", got, tt.want)
			}
			e.until("all to be accepted", func() bool { return e.h.Len() == clients })
		})
	}
}
