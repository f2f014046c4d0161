package tcp

import (
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

func TestRightEdgeNeverMovesLeft(t *testing.T) {
	p := slowHost(t, setup{})
	edge, sent := 0, 0
	for range 2000 {
		_, c := p.live()
		n := min(int(c.rcvAdv-c.rcvNxt), 700)
		p.send(seg{flags: ack, seq: 1 + sent, ack: 1, wnd: 65535, data: pattern(sent, n)})
		sent += n
		for _, s := range p.got() {
			now := s.ack + int(s.wnd)<<8
			if now < edge {
				t.Fatalf("right edge %d after %d", now, edge)
			}
			edge = now
		}
	}
	if _, c := p.live(); c.held == 0 {
		t.Error("nothing is held: the window was never tight")
	}
}

func TestPeerThatDoesNotReadThenReadsAll(t *testing.T) {
	p := slowHost(t, setup{})
	all := p.fill(t)
	p.advance(20 * time.Second)
	p.got()
	p.hostReads(all)
	var last seg
	p.until("window update", func() bool {
		if got := p.got(); len(got) > 0 {
			last = got[len(got)-1]
		}
		return last.wnd > 0
	})
	if last.ack != 1+len(all) {
		t.Errorf("acknowledged %d, want %d", last.ack, 1+len(all))
	}
	if got := p.h.Stats.Dropped; got != 0 {
		t.Errorf("%d bytes dropped within the window", got)
	}
}

func TestDataBeyondTheWindowIsCutOff(t *testing.T) {
	p := slowHost(t, setup{})
	all := p.fill(t)
	p.send(seg{flags: ack | fin, seq: 1 + len(all), ack: 1, wnd: 65535, data: "beyond"})
	p.expect(pureAck(1, 1+len(all)))
	checkState(t, p.env, established)
}

// Nothing that was acknowledged is lost when the pool is full; what does not fit is
// not acknowledged and comes again.
func TestPoolExhausted(t *testing.T) {
	p := slowHost(t, setup{opts: Options{HeldChunks: 1}})
	all, acked := pattern(0, 400<<10), 0
	for n := 0; acked < len(all); n++ {
		if n > 20000 {
			t.Fatalf("%d of %d bytes acknowledged", acked, len(all))
		}
		_, c := p.live()
		room := min(int(c.rcvAdv-c.rcvNxt), 3000, len(all)-acked)
		p.send(seg{flags: ack, seq: 1 + acked, ack: 1, wnd: 65535, data: all[acked : acked+room]})
		for _, s := range p.got() {
			if s.ack-1 < acked {
				t.Fatalf("acknowledged %d after %d", s.ack-1, acked)
			}
			acked = s.ack - 1
		}
		if room == 0 || n%4 == 0 {
			b := make([]byte, 2000)
			_ = p.host.SetReadDeadline(time.Now().Add(time.Millisecond))
			k, _ := p.host.Read(b)
			p.checkRead(string(b[:k]))
		}
	}
	if p.h.Stats.Held == 0 {
		t.Error("nothing was ever held")
	}
	p.hostReads(all[p.read:])
}

func (p *peer) checkRead(b string) {
	p.T.Helper()
	if want := pattern(p.read, len(b)); b != want {
		p.T.Fatalf("host read something else than was sent at %d", p.read)
	}
	p.read += len(b)
}

// Without room in the pool the window closes without a write that came out short;
// the kernel must report the room that comes all the same.
func TestWindowOpensAgainWithoutPool(t *testing.T) {
	p := slowHost(t, setup{opts: Options{HeldChunks: 2}})
	chunks := []uint16{p.h.pool.take(), p.h.pool.take()} // others hold them
	_, c := p.live()
	c.rcvAdv = c.rcvNxt + 20000 // as if the SYN had offered less
	all := ""
	for c.rcvAdv != c.rcvNxt {
		p.tightenSendBuffer(t)
		part := pattern(len(all), min(1000, int(c.rcvAdv-c.rcvNxt)))
		p.send(seg{flags: ack, seq: 1 + len(all), ack: 1, wnd: 65535, data: part})
		all += part
		p.expect(pureAck(1, 1+len(all)))
	}
	if c.held != 0 || p.h.Stats.Dropped != 0 {
		t.Fatalf("%d bytes held, %d dropped, want none", c.held, p.h.Stats.Dropped)
	}
	p.hostReads(all)
	p.until("window update", func() bool {
		for _, s := range p.got() {
			if s.wnd > 0 && s.ack == 1+len(all) {
				return true
			}
		}
		return false
	})
	for _, i := range chunks {
		p.h.pool.put(i)
	}
}

// tightenSendBuffer leaves room for just one more small write to the host socket.
func (p *peer) tightenSendBuffer(t *testing.T) {
	t.Helper()
	_, c := p.live()
	var m sys.MemInfo
	if errno := sys.SocketMemInfo(c.fd32(), &m); errno != 0 {
		t.Fatal(errno)
	}
	// The kernel doubles what it is given (socket(7)).
	if err := syscall.SetsockoptInt(c.fd32(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, int(m.WmemQueued)/2+300); err != nil {
		t.Fatal(err)
	}
}

// Waiting for room in the send buffer costs system calls: only where the window is
// tight, not where it cannot be larger.
func TestRoomIsWatchedWhereTheWindowIsTight(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup setup
		shift int8
		slow  bool
		want  bool
	}{
		{"usual", setup{}, 7, false, false},
		{"no window scale", setup{}, -1, false, false},
		{"small packets without offload", setup{plain: true, mtu: 300}, 7, false, false},
		{"host that does not read", setup{}, 7, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, tt.setup)
			rcvbuf := 0
			if tt.slow {
				rcvbuf = 4096
			}
			l := hostListener(t, "127.0.0.1", rcvbuf)
			p := e.newPeer(portOf(l.Addr()))
			p.shift = tt.shift
			p.connect(l)
			_, c := e.live()
			n := 1
			if tt.slow {
				shrinkSendBuffer(t, c)
				n = 100
			}
			for i := range n {
				p.send(seg{flags: ack, seq: 1 + 1000*i, ack: 1, wnd: 65535, data: pattern(1000*i, 1000)})
			}
			if got := c.has(wantOut); got != tt.want {
				t.Errorf("waits for room: %v, want %v", got, tt.want)
			}
		})
	}
}

// What the window offers must find room, with the send buffer that the kernel tunes
// too, and whatever net.ipv4.tcp_notsent_lowat says.
func TestWholeWindowFindsRoom(t *testing.T) {
	e := newEnv(t, setup{opts: Options{HeldChunks: 4}})
	p := e.outboundTo(hostListener(t, "127.0.0.1", 65536))
	_, c := e.live()
	sent := 0
	for n := 0; c.held == 0 && n < 2000; n++ {
		part := pattern(sent, min(8000, int(c.rcvAdv-c.rcvNxt)))
		p.send(seg{flags: ack, seq: 1 + sent, ack: 1, wnd: 65535, data: part})
		sent += len(part)
		p.got()
	}
	for left := int(c.rcvAdv - c.rcvNxt); left > 0; left = int(c.rcvAdv - c.rcvNxt) {
		part := pattern(sent, min(8000, left))
		p.send(seg{flags: ack, seq: 1 + sent, ack: 1, wnd: 65535, data: part})
		sent += len(part)
		if p.got(); p.h.Stats.Dropped != 0 {
			t.Fatalf("%d bytes within the window dropped, %d held", p.h.Stats.Dropped, c.held)
		}
	}
	p.hostReads(pattern(0, sent))
}
