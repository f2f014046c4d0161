package tcp

import (
	"fmt"
	"io"
	"syscall"
	"testing"

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
	e.turn(0)
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
				if behind.name == "RST" && n == 1 { // nothing was written before
					if len(got) != 0 {
						t.Errorf("guest that has reset got %+v", got)
					}
					return
				}
				last := len(got) - 1
				if last < 0 || got[last] != (seg{flags: rst | ack, seq: 1, ack: 1}) {
					t.Fatalf("guest got %+v, want RST", got)
				}
				for _, s := range got[:last] { // nothing of it is acknowledged
					if s.flags != ack || s.seq != 1 || s.ack != 1 {
						t.Errorf("guest got %+v before RST", s)
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
		if !p.h.peeks(c.fd32()) {
			t.Errorf("%s: not prepared for peeking", name)
		}
	}
}
