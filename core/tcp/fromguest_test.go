package tcp

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

func TestSegmentsOfTheGuest(t *testing.T) {
	abc := seg{flags: ack | psh, seq: 1, ack: 1, wnd: 65535, data: "abc"} // comes first in every case
	from := func(seq int, b string) seg {
		return seg{flags: ack | psh, seq: seq, ack: 1, wnd: 65535, data: b}
	}
	for _, tt := range []struct {
		name string
		in   []seg
		want []seg
		read string // what the host reads behind "abc"
	}{
		{"next", []seg{from(4, "def")}, []seg{pureAck(1, 7)}, "def"},
		{"same again", []seg{from(1, "abc")}, []seg{pureAck(1, 4)}, ""},
		{"old and new", []seg{from(2, "bcdef")}, []seg{pureAck(1, 7)}, "def"},
		{"longer retransmission", []seg{from(1, "abcdef")}, []seg{pureAck(1, 7)}, "def"},
		{"gap", []seg{from(5, "ef")}, []seg{pureAck(1, 4)}, ""},
		{"gap that is filled", []seg{from(5, "ef"), from(4, "def")}, []seg{pureAck(1, 4), pureAck(1, 7)}, "def"},
		{"gap after data", []seg{from(4, "d"), from(6, "f")}, []seg{pureAck(1, 5)}, "d"},
		{"two in a batch", []seg{from(4, "d"), from(5, "ef")}, []seg{pureAck(1, 7)}, "def"},
		{"two in a batch, one twice", []seg{from(4, "d"), from(4, "d"), from(5, "ef")}, []seg{pureAck(1, 7)}, "def"},
		{"beyond the window", []seg{from(1<<22, "x")}, []seg{pureAck(1, 4)}, ""},
		{"far before the window", []seg{from(-1<<20, "x")}, []seg{pureAck(1, 4)}, ""},
		{"keep-alive", []seg{pureAck(3, 1)}, []seg{pureAck(1, 4)}, ""},
		{"keep-alive with a byte", []seg{from(3, "c")}, []seg{pureAck(1, 4)}, ""},
		{"SYN in the window", []seg{{flags: syn, seq: 10}}, []seg{pureAck(1, 4)}, ""},
		{"first SYN again", []seg{{flags: syn}}, []seg{pureAck(1, 4)}, ""},
		{"SYN,ACK in the window", []seg{{flags: syn | ack, seq: 10, ack: 1}}, []seg{pureAck(1, 4)}, ""},
		{"without ACK", []seg{{flags: psh, seq: 4, data: "x"}}, nil, ""},
		{"acknowledges what was not sent", []seg{{flags: ack, seq: 4, ack: 2, data: "x"}}, []seg{pureAck(1, 4)}, ""},
		{"acknowledges what is too old", []seg{{flags: ack, seq: 4, ack: -1 << 20, data: "x"}}, []seg{pureAck(1, 4)}, ""},
		{"urgent", []seg{{flags: ack | packet.URG, seq: 4, ack: 1, wnd: 1, data: "def"}}, []seg{pureAck(1, 7)}, "def"},
		{"every flag", []seg{{flags: 0x3f, seq: 5, ack: 1, wnd: 1, data: "d"}}, []seg{pureAck(1, 4)}, ""},
		{"no flag", []seg{{seq: 4}}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).outbound()
			p.send(abc)
			p.hostGets("abc")
			p.expect(pureAck(1, 4))
			p.send(tt.in...)
			p.expect(tt.want...)
			p.hostGets(tt.read)
			if _, c := p.live(); int(c.rcvNxt-p.iss) != 4+len(tt.read) {
				t.Errorf("RCV.NXT %d, want %d", c.rcvNxt-p.iss, 4+len(tt.read))
			}
			p.send(seg{flags: fin | ack, seq: 4 + len(tt.read), ack: 1, wnd: 65535})
			p.hostGetsEnd(io.EOF)
		})
	}
}

func TestManySegmentsInOneBatchKeepTheirOrder(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	want := pattern(0, 16*100)
	var list []seg
	for i := range 16 {
		list = append(list, seg{flags: ack, seq: 1 + 100*i, ack: 1, wnd: 65535, data: want[100*i : 100*i+100]})
	}
	p.send(list...)
	p.hostGets(want)
	p.expect(pureAck(1, 1601))
}

// A batch may hold more payloads than one write gathers.
func TestBatchLongerThanOneWrite(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	const n = 3*maxBatch + 5
	frames, want := make([][]byte, n), pattern(0, n)
	for i := range n {
		frames[i] = coretest.TCP(p.guest, p.remote, packet.TCPHeader{
			Flags: ack, Seq: p.iss + 1 + seqValue(i), Ack: p.irs + 1, Window: 100,
		}, []byte(want[i:i+1]))
	}
	p.batch(frames)
	p.hostGets(want)
	p.expect(pureAck(1, 1+n))
}

// batch hands frames to the handler in one batch of any length.
func (e *env) batch(frames [][]byte) {
	e.T.Helper()
	for _, f := range frames {
		var pkt packet.Packet
		if d := pkt.Parse(f); d != packet.DropNone {
			e.T.Fatalf("frame does not parse: %v", d)
		}
		e.h.FromTap(&pkt, e.Now)
	}
	e.h.Flush(e.Now)
}

// The host fails in the middle of a batch: what comes behind must not go to whoever
// uses the slot next.
func TestHostFailsInTheMiddleOfABatch(t *testing.T) {
	for _, behind := range []struct {
		name string
		seg  func(n int) seg
	}{
		{"data", func(n int) seg { return seg{flags: ack, seq: 1 + n, ack: 1, wnd: 9, data: "x"} }},
		{"gap", func(n int) seg { return seg{flags: ack, seq: 9 + n, ack: 1, wnd: 9, data: "x"} }},
		{"FIN", func(n int) seg { return seg{flags: ack | fin, seq: 1 + n, ack: 1, wnd: 9} }},
		{"RST", func(n int) seg { return seg{flags: rst, seq: 1 + n} }},
		{"acknowledgment of nothing", func(n int) seg { return seg{flags: ack, seq: 1 + n, ack: 1000, wnd: 9} }},
	} {
		for _, n := range []int{1, maxBatch, maxBatch + 1} {
			t.Run(fmt.Sprintf("%s after %d", behind.name, n), func(t *testing.T) {
				p := newEnv(t, setup{}).outbound()
				_, c := p.live()
				if err := syscall.Shutdown(c.fd32(), syscall.SHUT_WR); err != nil { // writes give EPIPE
					t.Fatal(err)
				}
				var list []seg
				for i := range n {
					list = append(list, seg{flags: ack, seq: 1 + i, ack: 1, wnd: 9, data: "d"})
				}
				p.batchOf(append(list, behind.seg(n)))
				p.expectGone()
				got := p.got()
				if len(got) == 0 || got[0] != (seg{flags: rst | ack, seq: 1, ack: 1}) {
					t.Fatalf("guest got %+v, want RST first", got)
				}
				for _, s := range got[1:] {
					if s.flags != rst || s.seq != 1 && s.seq != behind.seg(n).ack {
						t.Errorf("guest got %+v after RST", s)
					}
				}
				checkFreeSlots(t, p.h)
			})
		}
	}
}

// batchOf is batch for segments of p.
func (p *peer) batchOf(list []seg) {
	p.T.Helper()
	frames := make([][]byte, len(list))
	for i, s := range list {
		h := packet.TCPHeader{Flags: s.flags, Seq: p.iss + seqValue(s.seq), Window: s.wnd}
		if s.flags&ack != 0 {
			h.Ack = p.irs + seqValue(s.ack)
		}
		frames[i] = coretest.TCP(p.guest, p.remote, h, []byte(s.data))
	}
	p.batch(frames)
}

// checkFreeSlots checks that nothing was done to slots without connection.
func checkFreeSlots(t testing.TB, h *Handler) {
	t.Helper()
	for i := range h.conns {
		c := h.conns[i]
		if c.state == closed && c != (conn{fd: -1}) && c != (conn{}) {
			t.Errorf("slot %d is free but %+v", i, c)
		}
	}
	if h.out.Count() != 0 {
		t.Errorf("%d payloads left to be written", h.out.Count())
	}
}

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

func TestDelayedAck(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.expect(pureAck(1, 5)) // nothing shows yet that an answer follows
	p.hostSends("pong")
	p.await(data(1, 5, "pong"))
	p.send(data(5, 5, "ping"))
	p.expect()
	p.advance(time.Duration(ackDelay - 1))
	p.expect()
	p.advance(1)
	p.expect(pureAck(5, 9))
	p.send(data(9, 5, "ping")) // the answer failed to come: no more delays
	p.expect(pureAck(5, 13))
}

func TestAckRidesOnAnswer(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.expect(pureAck(1, 5))
	p.hostSends("pong")
	p.await(data(1, 5, "pong"))
	p.send(data(5, 5, "ping"))
	p.hostSends("pong")
	p.await(data(5, 9, "pong"))
	p.advance(time.Second / 10)
	p.expect()
}

func TestEverySecondSegmentIsAcknowledged(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.hostSends("pong")
	p.await(pureAck(1, 5), data(1, 5, "pong"))
	full := strings.Repeat("x", 1460)
	p.send(data(5, 5, full))
	p.expect()
	p.send(data(1465, 5, full))
	p.expect(pureAck(5, 2925))
}

func TestChallengeAcksAreLimited(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	for range challengesPerSecond + 100 {
		p.inject(seg{flags: rst, seq: 100})
	}
	p.turn(0)
	if n := len(p.got()); n != challengesPerSecond {
		t.Errorf("%d challenges in a second, want %d", n, challengesPerSecond)
	}
	p.advance(time.Second)
	p.got()
	p.send(seg{flags: rst, seq: 100})
	p.expect(pureAck(1, 1))
}

// A refused acknowledgment is sent again, even if nothing else happens.
func TestRefusedAckComesLater(t *testing.T) {
	for _, times := range []int{1, 3} {
		p := newEnv(t, setup{}).outbound()
		p.Dev.Refuse(times, syscall.ENOBUFS)
		p.send(data(1, 1, "data"))
		p.expect()
		p.advance(time.Second)
		p.expect(pureAck(1, 5))
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
			l := hostListener(t, "127.0.0.1", 0)
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

func TestHostSocketOptions(t *testing.T) {
	for name, p := range map[string]*peer{"outbound": newEnv(t, setup{}).outbound(), "inbound": newEnv(t, setup{}).inbound()} {
		_, c := p.live()
		for _, o := range []struct {
			name             string
			level, opt, want int
		}{
			{"TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
			{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{"SO_OOBINLINE", syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1},
			{"TCP_NOTSENT_LOWAT", syscall.IPPROTO_TCP, sys.TCPNotsentLowat, -1},
		} {
			if got, errno := sys.GetInt(c.fd32(), o.level, o.opt); errno != 0 || got != o.want {
				t.Errorf("%s: %s is %d, %v, want %d", name, o.name, got, errno, o.want)
			}
		}
	}
}
