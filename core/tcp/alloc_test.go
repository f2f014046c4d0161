package tcp

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

// writeAll writes b to the socket fd.
func writeAll(t testing.TB, fd int, b []byte) {
	if n, errno := sys.Write(fd, b); errno != 0 || n != len(b) {
		t.Fatalf("host wrote %d bytes, %v", n, errno)
	}
}

// wire is a guest that replays one built frame with other numbers, without
// allocating. Its checksum was checked by the link before; here it does not count.
type wire struct {
	*peer
	frame []byte
	pkt   packet.Packet
	seq   seqnum.Value
	ackNo seqnum.Value
}

func newWire(p *peer, payloadLen int) *wire {
	h := packet.TCPHeader{Flags: ack | psh, Window: 65535, WScale: -1}
	return &wire{
		peer: p, seq: p.iss + 1, ackNo: p.irs + 1,
		frame: coretest.TCP(p.guest, p.remote, h, make([]byte, payloadLen)),
	}
}

// segment hands the frame to the handler and moves on in sequence.
func (w *wire) segment() {
	const at = packet.EthLen + packet.IPv4Len
	binary.BigEndian.PutUint32(w.frame[at+4:], uint32(w.seq))
	binary.BigEndian.PutUint32(w.frame[at+8:], uint32(w.ackNo))
	if w.pkt.Parse(w.frame) != packet.DropNone {
		w.T.Fatal("frame does not parse")
	}
	w.h.FromTap(&w.pkt, w.Now)
	w.seq += seqnum.Value(len(w.frame) - at - packet.TCPLen)
}

// drain throws away what the host gets, without allocating per read.
func drain(c *net.TCPConn) {
	_ = c.SetReadDeadline(time.Time{})
	_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 1<<20))
}

func TestDataFromGuestAllocatesNothing(t *testing.T) {
	w := newWire(newEnv(t, setup{}).outbound(), 1000)
	go drain(w.host)
	if n := testing.AllocsPerRun(500, func() {
		w.segment()
		w.h.Flush(w.Now)
		w.Dev.Discard()
	}); n != 0 {
		t.Errorf("%v allocations per data segment, want 0", n)
	}
}

func TestEarlyDataAllocatesNothing(t *testing.T) {
	const n = 1000
	w := newWire(newEnv(t, setup{}).outbound(), n)
	go drain(w.host)
	if allocs := testing.AllocsPerRun(500, func() {
		w.seq += n
		w.segment()
		w.h.Flush(w.Now)
		w.seq -= 2 * n
		w.segment()
		w.h.Flush(w.Now)
		w.seq += n
		w.Dev.Discard()
	}); allocs != 0 {
		t.Errorf("%v allocations per early segment, want 0", allocs)
	}
	if w.h.Stats.OutOfOrder == 0 {
		t.Error("nothing came early")
	}
}

// Two connections in turn take the only chunk of early data from each other.
func TestTakingEarlyDataAwayAllocatesNothing(t *testing.T) {
	e := newEnv(t, setup{opts: Options{HeldChunks: 1}})
	l := hostListener(t, "127.0.0.1", 0)
	a, b := newWire(e.stray(l, guestPort, 0), 10), newWire(e.stray(l, guestPort+1, 0), 10)
	a.seq, b.seq = a.seq+10, b.seq+10
	if allocs := testing.AllocsPerRun(500, func() {
		a.segment()
		e.h.Flush(e.Now)
		b.segment()
		e.h.Flush(e.Now)
		e.Dev.Discard()
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	if a.earlyOf() != 0 || b.earlyOf() != 1 {
		t.Errorf("%d and %d chunks, want 0 and 1", a.earlyOf(), b.earlyOf())
	}
}

func TestHeldDataAllocatesNothing(t *testing.T) {
	p := slowHost(t, setup{})
	w := newWire(p, 500)
	if n := testing.AllocsPerRun(300, func() {
		w.segment()
		w.h.Flush(w.Now)
		w.Dev.Discard()
	}); n != 0 {
		t.Errorf("%v allocations per held segment, want 0", n)
	}
	if p.h.Stats.Held == 0 {
		t.Error("nothing was held")
	}
}

func TestAckFromGuestAllocatesNothing(t *testing.T) {
	w := newWire(newEnv(t, setup{}).outbound(), 0)
	if n := testing.AllocsPerRun(500, func() {
		w.segment()
		w.h.Flush(w.Now)
		w.Dev.Discard()
	}); n != 0 {
		t.Errorf("%v allocations per acknowledgment, want 0", n)
	}
}

func TestDataToGuestAllocatesNothing(t *testing.T) {
	for _, noPeek := range []bool{false, true} {
		w := newWire(newEnv(t, setup{opts: Options{noPeekOff: noPeek}}).outbound(), 0)
		i, c := w.live()
		gen, b := w.h.table.Gen(i), make([]byte, 1000)
		raw, err := w.host.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		send := func(fd uintptr) { writeAll(t, int(fd), b) }
		if n := testing.AllocsPerRun(500, func() {
			_ = raw.Control(send)
			w.h.FromSock(i, gen, loop.In, w.Now)
			w.h.Flush(w.Now)
			w.ackNo = c.sndMax
			w.segment()
			w.h.Flush(w.Now)
			w.Dev.Discard()
		}); n != 0 {
			t.Errorf("%v allocations per segment to the guest, want 0", n)
		}
		if c.sndUna-w.irs < 400*1000 {
			t.Errorf("only %d bytes went to the guest", c.sndUna-w.irs)
		}
	}
}

func TestTimersAllocateNothing(t *testing.T) {
	p, _ := threeSegments(t)
	_, c := p.live()
	if n := testing.AllocsPerRun(50, func() {
		c.rtxSince, c.backoff = p.Now, 0
		p.Now = p.h.NextDeadline()
		p.h.Expire(p.Now)
		p.h.Flush(p.Now)
		p.Dev.Discard()
	}); n != 0 {
		t.Errorf("%v allocations per time-out, want 0", n)
	}
	if p.h.Stats.Retransmits < 50 {
		t.Errorf("only %d retransmissions", p.h.Stats.Retransmits)
	}
}

func TestOpenAndCloseAllocateNothing(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	open := newSynAndReset(e, l)
	if n := testing.AllocsPerRun(100, func() { open.run() }); n != 0 {
		t.Errorf("%v allocations per connection, want 0", n)
	}
	if got := e.h.Stats.OutboundOpened; got < 100 {
		t.Errorf("%d connections opened, want 100", got)
	}
	e.expectGone()
}

// synAndReset opens a connection and resets it, and accepts it on the host.
type synAndReset struct {
	*env
	listenFD         int
	from             sys.SockAddr
	syn, rst         []byte
	pktSyn, pktReset packet.Packet
}

func newSynAndReset(e *env, l *net.TCPListener) *synAndReset {
	src, dst := netip.AddrPortFrom(guest4, guestPort), netip.AddrPortFrom(gateway4, portOf(l.Addr()))
	f, err := l.File()
	if err != nil {
		e.T.Fatal(err)
	}
	e.T.Cleanup(func() { _ = f.Close() })
	fd := int(f.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		e.T.Fatal(err)
	}
	return &synAndReset{
		env: e, listenFD: fd,
		syn: coretest.TCP(src, dst, packet.TCPHeader{Flags: syn, Seq: guestISS, MSS: 1460, WScale: 7}, nil),
		rst: coretest.TCP(src, dst, packet.TCPHeader{Flags: rst, Seq: guestISS + 1, WScale: -1}, nil),
	}
}

func (s *synAndReset) run() {
	s.pktSyn.Parse(s.syn)
	s.h.FromTap(&s.pktSyn, s.Now)
	s.h.Flush(s.Now)
	s.pktReset.Parse(s.rst)
	s.h.FromTap(&s.pktReset, s.Now)
	s.h.Flush(s.Now)
	s.Dev.Discard()
	if fd, errno := sys.Accept(s.listenFD, &s.from); errno == 0 {
		sys.Close(fd)
	}
}

func BenchmarkDataFromGuest(b *testing.B) {
	w := newWire(newEnv(b, setup{mtu: 65520}).outbound(), 60000)
	go drain(w.host)
	b.ReportAllocs()
	b.SetBytes(60000)
	_, c := w.live()
	for b.Loop() {
		for int(c.rcvAdv-c.rcvNxt) < 60000 { // the host reads in its own time
			w.turn(time.Second)
		}
		w.segment()
		w.h.Flush(w.Now)
		w.Dev.Discard()
	}
}

func BenchmarkAckFromGuest(b *testing.B) {
	w := newWire(newEnv(b, setup{}).outbound(), 0)
	b.ReportAllocs()
	for b.Loop() {
		w.segment()
		w.h.Flush(w.Now)
		w.Dev.Discard()
	}
}

func BenchmarkOpenAndReset(b *testing.B) {
	e := newEnv(b, setup{})
	l := hostListener(b, "127.0.0.1", 0)
	open := newSynAndReset(e, l)
	b.ReportAllocs()
	for b.Loop() {
		open.run()
	}
}

func BenchmarkRequestResponse(b *testing.B) {
	w := newWire(newEnv(b, setup{}).outbound(), 1)
	go func() { // echo
		buf := make([]byte, 64)
		for {
			n, err := w.host.Read(buf)
			if err != nil {
				return
			}
			_, _ = w.host.Write(buf[:n])
		}
	}()
	_, c := w.live()
	b.ReportAllocs()
	for b.Loop() {
		before := c.sndMax
		w.segment()
		w.h.Flush(w.Now)
		for c.sndMax == before {
			w.turn(time.Second)
		}
		w.ackNo = c.sndMax
		w.Dev.Discard()
	}
}
