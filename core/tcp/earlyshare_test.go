package tcp

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// stray is a connection of the guest of which only scattered bytes have come: each takes
// a chunk.
func (e *env) stray(l *net.TCPListener, port uint16, bytes int) *peer {
	e.T.Helper()
	p := e.newPeer(portOf(l.Addr()))
	p.guest = netip.AddrPortFrom(guest4, port)
	p.connect(l)
	p.scatter(3, bytes)
	return p
}

// scatter sends so many bytes from seq on, with gaps between them.
func (p *peer) scatter(seq, bytes int) {
	p.T.Helper()
	for i := range bytes {
		p.send(piece(seq+2*i, seq+2*i+1, 0))
	}
	p.Dev.Discard()
}

// earlyOf is the number of chunks of p.
func (p *peer) earlyOf() int { return checkEarly(p.T, p.h, p.connOf(p)) }

func TestIdleEarlyDataGivesWay(t *testing.T) {
	for _, tt := range []struct {
		name    string
		hostile int
		after   time.Duration
		want    int // chunks of the one that comes last, of 16
	}{
		{"two, at once", 2, 0, 10}, // a third of the 32, in whole chunks
		{"eight, at once", 8, 0, 4},
		{"forty, at once", 40, 0, 1},
		{"two, a while ago", 2, time.Second, maxEarly},
		{"forty, a while ago", 40, time.Second, maxEarly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{opts: Options{HeldChunks: 128}})
			l := hostListener(t, "127.0.0.1", 0)
			for i := range tt.hostile {
				e.stray(l, guestPort+1+uint16(i), maxEarly+4)
			}
			e.advance(tt.after)
			e.Dev.Discard()
			p := e.stray(l, guestPort, maxEarly)
			if got := p.earlyOf(); got < tt.want {
				t.Errorf("%d chunks, want %d", got, tt.want)
			}
			p.send(piece(1, 2*maxEarly+3, 0))
			p.hostGets(pattern(1, 2*maxEarly+2))
		})
	}
}

// A connection keeps what it has while others that have as much ask for more.
func TestEarlyDataIsShared(t *testing.T) {
	e := newEnv(t, setup{opts: Options{HeldChunks: 16}}) // four for early data
	l := hostListener(t, "127.0.0.1", 0)
	a, b := e.stray(l, guestPort, 4), e.stray(l, guestPort+1, 4)
	for round := range 5 {
		a.scatter(1001+100*round, 10)
		b.scatter(1001+100*round, 10)
		if a.earlyOf() != 2 || b.earlyOf() != 2 {
			t.Fatalf("round %d: %d and %d chunks, want 2 each", round, a.earlyOf(), b.earlyOf())
		}
	}
}

// What was acknowledged needs a place; what was not may be sent again.
func TestEarlyDataGivesWayToHeldData(t *testing.T) {
	e := newEnv(t, setup{opts: Options{HeldChunks: 4}})
	e.stray(hostListener(t, "127.0.0.1", 0), guestPort+1, 1)
	l := hostListener(t, "127.0.0.1", 4096)
	var slow []*peer
	for i := range 4 {
		p := e.newPeer(portOf(l.Addr()))
		p.guest = netip.AddrPortFrom(guest4, guestPort+2+uint16(i))
		p.connect(l)
		shrinkSendBuffer(t, e.connOf(p))
		slow = append(slow, p)
	}
	for sent, n := 0, 1400; e.h.pool.early > 0 || e.h.pool.left > 0; sent += n {
		if sent > 10<<20 {
			t.Fatalf("%d chunks of early data, %d free", e.h.pool.early, e.h.pool.left)
		}
		for _, p := range slow {
			c := e.connOf(p)
			at := int(c.rcvNxt - p.iss)
			p.send(seg{flags: ack, seq: at, ack: 1, wnd: 65535, data: pattern(at-1, min(n, int(c.rcvAdv-c.rcvNxt)))})
			e.Dev.Discard()
		}
	}
}

// Early data is no reason to close windows.
func TestEarlyDataLeavesWindows(t *testing.T) {
	e := newEnv(t, setup{opts: Options{HeldChunks: 2}})
	e.stray(hostListener(t, "127.0.0.1", 0), guestPort+1, 2)
	if e.h.pool.left != 0 || e.h.pool.low() {
		t.Errorf("%d chunks free, low: %v, want 0 and false", e.h.pool.left, e.h.pool.low())
	}
}
