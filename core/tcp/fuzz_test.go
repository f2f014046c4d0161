package tcp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// maxFrames bounds what one step may have us send: with the data on the host
// bounded as below, more is a spin.
const maxFrames = 300

// script drives a handler by bytes: each step is an action of the guest, of the
// host, of the link or of the clock.
type script struct {
	*env
	in   []byte
	l    *net.TCPListener
	addr *net.TCPAddr // of the handler's own listener

	host  []net.Conn
	peers [3]scriptPeer
	seen  map[state]bool
}

// scriptPeer is the guest's end of a connection, as it last heard of it.
type scriptPeer struct {
	guest, remote netip.AddrPort
	seq, ack      seqnum.Value // where the guest would go on
}

func (s *script) next() byte {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return b
}

func newScript(t *testing.T, in []byte) *script {
	mode := byte(0)
	if len(in) > 0 {
		mode = in[0]
		in = in[1:]
	}
	set := setup{opts: Options{MaxFlows: 4, HeldChunks: 2, noPeekOff: mode&1 != 0}, plain: mode&2 != 0}
	if mode&4 != 0 {
		set.mtu = 65520
	}
	s := &script{env: newEnv(t, set), in: in, seen: map[state]bool{}}
	s.l = hostListener(t, "127.0.0.1", 4096)
	s.addr = s.listen(guestPort)
	for i := range s.peers {
		s.peers[i] = scriptPeer{
			guest:  netip.AddrPortFrom(guest4, guestPort+uint16(i)),
			remote: netip.AddrPortFrom(gateway4, portOf(s.l.Addr())),
			seq:    guestISS,
		}
	}
	return s
}

// run plays the script, at most so many steps.
func (s *script) run() {
	defer s.closeHost()
	for step := 0; len(s.in) > 0 && step < 64; step++ {
		before := s.Link.Stats.ToGuest + s.Link.Stats.SendErrors
		s.act()
		s.turn(0)
		if n := s.Link.Stats.ToGuest + s.Link.Stats.SendErrors - before; n > maxFrames {
			s.T.Fatalf("%d frames sent in one step", n)
		}
		s.hear()
		s.check()
	}
}

func (s *script) closeHost() {
	for _, c := range s.host {
		_ = c.Close()
	}
}

func (s *script) act() {
	p := &s.peers[int(s.next())%len(s.peers)]
	switch op := s.next(); op % 16 {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		s.segmentOf(p)
	case 8:
		s.acceptHost()
	case 9, 10, 11:
		s.hostAct(op)
	case 12:
		s.dialHost()
	case 13:
		s.Dev.Refuse(int(s.next()%4), 105) // ENOBUFS
	default:
		s.passTime()
	}
}

// segmentOf injects a segment of p near where that would go on.
func (s *script) segmentOf(p *scriptPeer) {
	flags, how, wnd, size := s.next(), s.next(), s.next(), s.next()
	near := [8]int{0, 0, 0, -1, 1, -1000, 1000, 1 << 20}
	h := packet.TCPHeader{
		Flags: flags & 0x3f, Window: uint16(wnd) << (wnd & 7), WScale: int8(how>>6) * 5,
		Seq: p.seq + seqValue(near[how&7]), Ack: p.ack + seqValue(near[how>>3&7]),
	}
	if h.Flags&syn != 0 {
		h.MSS = uint16(size) * 64
	}
	payload := []byte(pattern(int(p.seq), int(size)*int(how&3)))
	frame := coretest.TCP(p.guest, p.remote, h, payload)
	if size%8 == 7 && len(payload) > 100 {
		s.Dev.InjectVnet(coretest.Partial(frame, 100))
		return
	}
	if size%16 == 3 { // options that no SYN of ours would have
		frame[packet.EthLen+packet.IPv4Len+12] = flags &^ 0xf
	}
	s.Dev.Inject(frame)
}

// acceptHost takes a connection that the handler made.
func (s *script) acceptHost() {
	_ = s.l.SetDeadline(time.Now().Add(time.Millisecond))
	if c, err := s.l.Accept(); err == nil {
		s.host = append(s.host, c)
	}
}

// dialHost connects to the handler's listener.
func (s *script) dialHost() {
	if len(s.host) < 8 {
		if c, err := net.DialTCP("tcp", nil, s.addr); err == nil {
			s.host = append(s.host, c)
			s.peers[0].remote = netip.AddrPortFrom(gateway4, portOf(c.LocalAddr()))
		}
	}
}

// hostAct has a host socket write, read, shut down, close or reset.
func (s *script) hostAct(op byte) {
	if len(s.host) == 0 {
		return
	}
	c := s.host[int(s.next())%len(s.host)].(*net.TCPConn)
	n := int(s.next()) * 16
	_ = c.SetDeadline(time.Now().Add(time.Millisecond))
	switch {
	case op == 9 || op == 25:
		_, _ = c.Write([]byte(pattern(0, n)))
	case op%16 == 10:
		_, _ = c.Read(make([]byte, n+1))
	case op < 64:
		_ = c.CloseWrite()
	case op < 128:
		_ = c.Close()
	default:
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// passTime moves the clock to the next deadline, or by some time.
func (s *script) passTime() {
	d := int64(1) << (s.next() % 44) // up to 4.9 hours
	if at := s.h.NextDeadline(); d&1 != 0 && at < s.Now+int64(time.Hour) {
		s.Now = max(s.Now, at)
		return
	}
	s.Now += d
}

// hear lets the guest learn from what it was sent.
func (s *script) hear() {
	for _, f := range s.Dev.Take(s.T) {
		if f.Proto != packet.ProtoTCP {
			continue
		}
		t := f.TCP(s.T)
		for i := range s.peers {
			p := &s.peers[i]
			if p.guest.Port() != t.DstPort() || p.remote.Port() != t.SrcPort() {
				continue
			}
			p.ack = t.Seq() + segLen(t)
			if t.Flags()&ack != 0 {
				p.seq = t.Ack()
			}
		}
	}
}

// check holds the handler to its invariants.
func (s *script) check() {
	s.T.Helper()
	h := s.h
	checkFreeSlots(s.T, h)
	live, chunks, early := 0, 0, 0
	h.table.All(func(i uint32) {
		live++
		s.seen[h.conns[i].state] = true
		chunks += s.checkConn(i, &h.conns[i])
		early += int(h.conns[i].earlyChunks)
	})
	if early != h.pool.early {
		s.T.Fatalf("%d chunks of early data, the pool counts %d", early, h.pool.early)
	}
	for i := range h.conns {
		if c := &h.conns[i]; c.state != closed && !h.table.Valid(uint32(i), h.table.Gen(uint32(i))) {
			s.T.Fatalf("slot %d is in state %d but free", i, c.state)
		}
	}
	if live != h.Len() || chunks != len(h.pool.meta)-h.pool.left {
		s.T.Fatalf("%d connections, %d chunks in use, want %d and %d", h.Len(), len(h.pool.meta)-h.pool.left, live, chunks)
	}
	if h.writing != flow.None || h.out.Count() != 0 || len(h.dirty) != 0 {
		s.T.Fatalf("work left after Flush: %d payloads, %d connections", h.out.Count(), len(h.dirty))
	}
}

// checkConn checks one connection and gives the number of chunks that it holds.
func (s *script) checkConn(i uint32, c *conn) int {
	s.T.Helper()
	h := s.h
	fail := func(what string) {
		s.T.Helper()
		s.T.Fatalf("connection %d: %s: %+v", i, what, *c)
	}
	_, scheduled := h.deadlines.At(i)
	switch {
	case c.state == closed:
		fail("closed, but in the table")
	case c.fd < 0 && c.state != timeWait:
		fail("no host socket")
	case !c.sndUna.LessThanEq(c.sndNxt) || !c.sndNxt.LessThanEq(c.sndMax):
		fail("not SND.UNA <= SND.NXT <= SND.MAX")
	case c.state >= synRcvd && !c.rcvNxt.LessThanEq(c.rcvAdv):
		fail("RCV.NXT beyond the window")
	case c.state >= synRcvd && !c.lastAck.LessThanEq(c.rcvNxt):
		fail("acknowledged what was not received")
	case c.state != connecting && !scheduled:
		fail("no deadline")
	case c.sndUna != c.sndMax && c.rtxAt == 0 && c.state != connecting:
		fail("in flight without a timer")
	case c.held > 0 && !c.has(wantOut):
		fail("holds data and does not wait for room")
	case c.has(dirty):
		fail("marked dirty after Flush")
	case c.state.synchronized() && c.mss < minMSS:
		fail("segment size")
	}
	return s.checkHeld(i, c)
}

func (s *script) checkHeld(i uint32, c *conn) int {
	s.T.Helper()
	chunks, bytes := 0, uint32(0)
	for n := c.heldHead; n != 0; n = s.h.pool.meta[n-1].next {
		m := s.h.pool.meta[n-1]
		bytes += m.end - m.off
		if chunks++; chunks > len(s.h.pool.meta) || m.off > m.end || m.end > chunkLen {
			s.T.Fatalf("connection %d: broken chain of chunks", i)
		}
		if m.owner != flow.None {
			s.T.Fatalf("connection %d: held data %+v may be taken away", i, m)
		}
	}
	if bytes != c.held {
		s.T.Fatalf("connection %d: %d bytes held, %d in chunks", i, c.held, bytes)
	}
	return chunks + checkEarly(s.T, s.h, c)
}

// checkEarly looks at the chunks of early data, and returns their number.
func checkEarly(t testing.TB, h *Handler, c *conn) (chunks int) {
	t.Helper()
	at := c.rcvNxt
	for n := c.early; n != 0; n = h.pool.meta[n-1].next {
		m := h.pool.meta[n-1]
		switch {
		case chunks == maxEarly:
			t.Fatal("too many chunks of early data, or a broken chain")
		case m.owner == flow.None || &h.conns[m.owner] != c:
			t.Fatalf("early data %+v is somebody else's", m)
		case m.seq.LessThan(at) || m.end <= m.off || m.end > chunkLen:
			t.Fatalf("early data %+v behind %d", m, at)
		case c.rcvAdv.LessThan(h.pool.endSeq(n)):
			t.Fatalf("early data %+v beyond the window's edge at %d", m, c.rcvAdv)
		}
		at = h.pool.endSeq(n)
		chunks++
	}
	if chunks != int(c.earlyChunks) {
		t.Fatalf("%d chunks of early data, counted as %d", chunks, c.earlyChunks)
	}
	return chunks
}

// Steps of scripts, for seeds.
var (
	stepSyn     = []byte{1, 0, syn, 0, 255, 20}
	stepAccept  = []byte{1, 8}
	stepAck     = []byte{1, 0, ack, 0, 255, 0}
	stepData    = []byte{1, 0, ack | psh, 1, 255, 255}
	stepFin     = []byte{1, 0, ack | fin, 0, 255, 0}
	stepGap     = []byte{1, 0, ack, 6, 255, 20}
	stepClosed  = []byte{1, 0, ack, 0, 0, 0}
	stepWrite   = []byte{1, 9, 0, 100}
	stepRead    = []byte{1, 10, 0, 255}
	stepShut    = []byte{1, 11, 0, 0}
	stepReset   = []byte{1, 139, 0, 0}
	stepRefuse  = []byte{1, 13, 3}
	stepTimer   = []byte{1, 15, 0}
	stepSecond  = []byte{1, 15, 30}
	stepDial    = []byte{0, 12}
	stepSynAck  = []byte{0, 0, syn | ack, 0, 255, 20}
	stepSynOnly = []byte{0, 0, syn, 0, 255, 20}
	stepAck0    = []byte{0, 0, ack, 0, 255, 0}
	stepWait    = []byte{1, 8, 2, 8} // accepting gives the kernel its time
)

func steps(mode byte, list ...[]byte) []byte {
	b := []byte{mode}
	for _, s := range list {
		b = append(b, s...)
	}
	return b
}

var scriptSeeds = []struct {
	name   string
	in     []byte
	states []state // that must be reached
}{
	{
		"guest closes", steps(0, stepSyn, stepAccept, stepWait, stepAck, stepData, stepRead, stepFin, stepShut, stepWait, stepAck),
		[]state{synRcvd, established, closeWait, lastAck},
	},
	{
		"host closes", steps(0, stepSyn, stepAccept, stepWait, stepAck, stepWrite, stepAck, stepShut, stepWait, stepAck, stepFin, stepSecond),
		[]state{finWait1, finWait2, timeWait},
	},
	{
		"both close", steps(1, stepSyn, stepAccept, stepWait, stepAck, stepShut, stepWait, []byte{1, 0, ack | fin, 0x18, 255, 0}, stepAck, stepSecond),
		[]state{finWait1, closing, timeWait},
	},
	{"inbound", steps(2, stepDial, stepWait, stepSynAck, []byte{0, 9, 0, 90}, stepWait, stepAck0), []state{synSent, established}},
	{"inbound, both open", steps(4, stepDial, stepWait, stepSynOnly, stepAck0), []state{synSent, synRcvd, established}},
	{
		"inbound, silent", steps(0, stepDial, stepWait, stepTimer, stepTimer, stepTimer, stepTimer, stepTimer, stepTimer, stepTimer, stepTimer),
		[]state{synSent},
	},
	{
		"loss", steps(0, stepSyn, stepAccept, stepWait, stepAck, stepWrite, stepWait, stepGap, stepGap, stepTimer, stepTimer, stepSecond, stepReset),
		[]state{established},
	},
	{
		"early data", steps(0, stepSyn, stepAccept, stepWait, stepAck, stepGap, stepWrite, stepGap, stepData, stepData, stepGap, stepReset),
		[]state{established},
	},
	{
		"closed window", steps(1, stepSyn, stepAccept, stepWait, stepAck, stepClosed, stepWrite, stepWait, stepTimer, stepTimer, stepAck),
		[]state{established},
	},
	{"full link", steps(2, stepSyn, stepAccept, stepWait, stepAck, stepRefuse, stepWrite, stepWait, stepSecond, stepAck), []state{established}},
	{
		"many bytes to a slow host", steps(0, stepSyn, stepAccept, stepWait, stepAck, stepData, stepData, stepData, stepData, stepRead, stepFin),
		[]state{closeWait},
	},
}

func TestScriptsReachTheirStates(t *testing.T) {
	for _, tt := range scriptSeeds {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, tt.in)
			s.run()
			for _, want := range tt.states {
				if !s.seen[want] {
					t.Errorf("state %d not reached, only %v", want, s.seen)
				}
			}
		})
	}
}

func FuzzSegments(f *testing.F) {
	for _, s := range scriptSeeds {
		f.Add(s.in)
	}
	f.Fuzz(func(t *testing.T, in []byte) { newScript(t, in).run() })
}
