package tcp

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/tap"
)

// model is a guest's TCP, simple but complete: it keeps segments that come early,
// acknowledges everything at once, sends again what a time-out or three
// duplicates ask for, and respects windows. It shares no code with the handler.
type model struct {
	e        *env
	p        *peer
	mss, gso int // bytes per segment, and per super-frame; gso 0: none

	// Towards the handler: numbers are offsets in the stream.
	out             []byte
	una, nxt, edge  int // edge: right edge of the window granted
	dups            int
	rtoAt, rto      int64
	finSent, finAck bool

	// From the handler.
	in       []byte
	early    map[int][]byte
	finAt    int // -1: not known
	finSeen  bool
	bufLen   int // receive buffer, bytes not yet read
	readUpTo int
	rng      *rand.Rand
}

const modelRTO = int64(300 * time.Millisecond)

// windowShift is the window scale of the model.
const windowShift = 3

func newModel(e *env, p *peer, out []byte, gso, bufLen int, seed uint64) *model {
	return &model{
		e: e, p: p, mss: int(p.mss), gso: gso, out: out, edge: initialWindow, finAt: -1,
		early: map[int][]byte{}, bufLen: bufLen, rng: rand.New(rand.NewPCG(seed, 1)), rto: modelRTO,
	}
}

// window is what the model takes: its buffer less what it has not read.
func (m *model) window() int { return max(0, m.bufLen-(len(m.in)-m.readUpTo)) }

func (m *model) ackNo() int {
	n := 1 + len(m.in)
	if m.finSeen {
		n++
	}
	return n
}

func (m *model) send(flags uint8, off int, payload []byte) {
	h := packet.TCPHeader{
		Flags: flags | ack, Seq: m.p.iss + 1 + seqnum.Value(off), Ack: m.p.irs + seqnum.Value(m.ackNo()),
		Window: uint16(min(65535, m.window()>>windowShift)), WScale: -1,
	}
	frame := coretest.TCP(m.p.guest, m.p.remote, h, payload)
	if len(payload) > m.mss {
		m.e.Dev.InjectVnet(coretest.Partial(frame, m.mss))
		return
	}
	m.e.Dev.Inject(frame)
}

// acknowledge sends an empty segment, behind all that was sent.
func (m *model) acknowledge() {
	at := m.nxt
	if (m.finSent || m.finAck) && at == len(m.out) {
		at++
	}
	m.send(0, at, nil)
}

// receive handles all frames that the handler has sent.
func (m *model) receive() {
	for _, f := range m.e.Dev.Take(m.e.T) {
		s := f.TCP(m.e.T)
		switch {
		case s.DstPort() != m.p.guest.Port(): // of another connection
		case s.Flags()&rst != 0 && m.finSeen && m.una == len(m.out):
			m.finAck = true // in LAST-ACK a reset is as good (RFC 9293 section 3.10.7.4): TIME-WAIT was over
		case s.Flags()&rst != 0:
			m.e.T.Fatalf("the handler reset the connection at %d", s.Seq()-m.p.irs)
		case s.Flags()&syn != 0: // came twice
			m.acknowledge()
		default:
			m.acked(s)
			m.data(s)
		}
	}
}

// acked handles acknowledgment and window.
func (m *model) acked(s packet.TCP) {
	off := int(int32(s.Ack() - m.p.iss - 1))
	if m.nxt == len(m.out) && off == len(m.out)+1 {
		m.finAck = true
		off = len(m.out)
	}
	if off > m.nxt {
		m.e.T.Fatalf("the handler acknowledged %d of %d bytes sent", off, m.nxt)
	}
	m.edge = max(m.edge, off+int(s.Window())<<maxShift)
	switch {
	case off > m.una:
		m.una, m.dups, m.rto = off, 0, modelRTO
		m.rtoAt = m.e.Now + m.rto
	case off == m.una && len(s.Payload()) == 0 && m.una < m.nxt:
		if m.dups++; m.dups == 3 {
			m.send(0, m.una, m.out[m.una:min(m.una+m.mss, m.nxt)])
		}
	}
}

// data handles payload and FIN.
func (m *model) data(s packet.TCP) {
	off, b := int(int32(s.Seq()-m.p.irs-1)), s.Payload()
	if s.Flags()&fin != 0 {
		m.finAt = off + len(b)
	}
	if len(b) == 0 && s.Flags()&fin == 0 {
		if off < len(m.in) { // a probe
			m.acknowledge()
		}
		return
	}
	if off > len(m.in) {
		m.early[off] = bytes.Clone(b)
	} else if off+len(b) > len(m.in) {
		m.in = append(m.in, b[len(m.in)-off:]...)
	}
	for again := true; again; {
		again = false
		for at, piece := range m.early {
			if at <= len(m.in) {
				delete(m.early, at)
				if at+len(piece) > len(m.in) {
					m.in = append(m.in, piece[len(m.in)-at:]...)
				}
				again = true
			}
		}
	}
	m.finSeen = m.finAt >= 0 && m.finAt == len(m.in)
	m.acknowledge()
}

// transmit sends new data within the window, and old data after a time-out.
func (m *model) transmit() {
	if m.e.Now >= m.rtoAt && (m.una < m.nxt || m.finSent && !m.finAck) {
		m.nxt, m.rto, m.finSent = m.una, min(2*m.rto, int64(2*time.Second)), false
		m.rtoAt = m.e.Now + m.rto
	}
	piece := max(m.mss, m.gso)
	for m.nxt < len(m.out) && m.nxt < m.edge {
		n := min(piece, len(m.out)-m.nxt, m.edge-m.nxt)
		m.send(psh, m.nxt, m.out[m.nxt:m.nxt+n])
		if m.nxt == m.una {
			m.rtoAt = m.e.Now + m.rto
		}
		m.nxt += n
	}
	if m.nxt == m.una && m.nxt < len(m.out) && m.e.Now >= m.rtoAt { // the window is closed
		m.send(0, m.nxt-1, nil)
		m.rtoAt = m.e.Now + m.rto
	}
	if m.nxt == len(m.out) && !m.finSent && !m.finAck {
		m.finSent = true
		m.rtoAt = m.e.Now + m.rto
		m.send(fin, len(m.out), nil)
	}
}

// read has the guest's application read a part, which may open the window.
func (m *model) read() {
	closed := m.window() < m.mss
	m.readUpTo += m.rng.IntN(len(m.in) - m.readUpTo + 1)
	if closed && m.window() >= m.mss {
		m.acknowledge()
	}
}

func (m *model) done() bool { return m.finSeen && m.finAck }

// hostSide writes out to c and reads all of it until the end, at a random pace.
type hostSide struct {
	wg  sync.WaitGroup
	in  []byte
	err error
}

func runHost(c *net.TCPConn, out []byte) *hostSide {
	s := &hostSide{}
	_ = c.SetDeadline(time.Now().Add(6 * patience))
	s.wg.Add(2)
	var writeErr error
	go func() {
		defer s.wg.Done()
		if _, writeErr = c.Write(out); writeErr == nil {
			writeErr = c.CloseWrite()
		}
	}()
	go func() {
		defer s.wg.Done()
		s.in, s.err = io.ReadAll(c)
	}()
	return s
}

// spoilt is a link that is good until it is switched on.
type spoilt struct {
	tap.Device
	lossy *coretest.Lossy
	on    bool
}

func (s *spoilt) Send(hdr, payload []byte) syscall.Errno {
	if s.on {
		return s.lossy.Send(hdr, payload)
	}
	return s.Device.Send(hdr, payload)
}

func (s *spoilt) Recv(b []byte) (int, syscall.Errno) {
	if s.on {
		return s.lossy.Recv(b)
	}
	return s.Device.Recv(b)
}

type modelCase struct {
	name    string
	feat    tap.Features
	plain   bool
	mss     uint16
	mtu     int
	gso     int
	bufLen  int
	len     int // bytes in each direction
	rcvbuf  int // of the host's listener
	faults  coretest.Faults
	noPeek  bool
	held    int
	seeds   int
	inbound bool
	strays  int  // idle connections with early data beside it
	wrap    bool // both sides' sequence numbers pass 2^32
}

func TestTransfersThroughSpoiltLink(t *testing.T) {
	bad := coretest.Faults{Lose: 0.03, Repeat: 0.02, Reorder: 0.03}
	worse := coretest.Faults{Lose: 0.1, Repeat: 0.1, Reorder: 0.1}
	all := coretest.AllFeatures
	for _, tt := range []modelCase{
		{name: "good link", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 2 << 20, seeds: 2},
		{name: "good link, plain frames", plain: true, mss: 1460, bufLen: 200000, len: 1 << 20, seeds: 2},
		{name: "good link, jumbo", feat: all, mss: 65480, mtu: 65520, bufLen: 1 << 20, len: 4 << 20, seeds: 2},
		{name: "bad link", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 300000, faults: bad, seeds: 6},
		{name: "bad link, plain frames", plain: true, mss: 1460, bufLen: 100000, len: 200000, faults: bad, seeds: 6},
		{name: "bad link, jumbo", feat: all, mss: 65480, mtu: 65520, bufLen: 1 << 20, len: 2 << 20, faults: bad, seeds: 4},
		{name: "bad link, small segments", feat: all, mss: 100, bufLen: 20000, len: 30000, faults: bad, seeds: 4},
		{name: "bad link, inbound", feat: all, mss: 1460, bufLen: 50000, len: 100000, faults: bad, seeds: 4, inbound: true},
		{name: "small pool, inbound", feat: all, mss: 1460, bufLen: 50000, len: 100000, faults: bad, seeds: 4, inbound: true, held: 3},
		{name: "strays beside it", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 300000, faults: bad, seeds: 4, strays: 3},
		{name: "strays beside it, slow host", feat: all, mss: 1460, bufLen: 50000, len: 100000, faults: bad, seeds: 4, rcvbuf: 4096, strays: 3, held: 3},
		{name: "worse link", feat: all, mss: 1460, bufLen: 60000, len: 60000, faults: worse, seeds: 6},
		{name: "small window", feat: all, mss: 1460, bufLen: 3000, len: 50000, faults: bad, seeds: 4},
		{name: "no peek offset", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 300000, faults: bad, seeds: 4, noPeek: true},
		{name: "slow host", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 300000, faults: bad, seeds: 4, rcvbuf: 4096},
		{name: "slow host, small pool", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 300000, seeds: 4, rcvbuf: 4096, held: 1},
		{name: "numbers that wrap", feat: all, mss: 1460, gso: 14600, bufLen: 200000, len: 300000, faults: bad, seeds: 4, wrap: true},
		{name: "nothing to say", feat: all, mss: 1460, bufLen: 60000, len: 0, faults: worse, seeds: 6},
	} {
		for seed := range tt.seeds {
			t.Run(fmt.Sprintf("%s/%d", tt.name, seed), func(t *testing.T) { testTransfer(t, tt, uint64(seed)) })
		}
	}
}

func testTransfer(t *testing.T, tt modelCase, seed uint64) {
	link := &spoilt{}
	e := newEnv(t, setup{
		feat: tt.feat, plain: tt.plain, mtu: tt.mtu, opts: Options{noPeekOff: tt.noPeek, HeldChunks: tt.held},
		wrap: func(d tap.Device) tap.Device {
			link.Device, link.lossy = d, coretest.NewLossy(d, tt.faults, tt.faults, seed)
			return link
		},
	})
	for l, i := hostListener(t, "127.0.0.1", 0), 0; i < tt.strays; i++ {
		e.stray(l, guestPort+1+uint16(i), maxEarly)
	}
	p := openForModel(e, tt)
	link.on = true
	toHost, toGuest := []byte(pattern(int(seed)<<8, tt.len)), []byte(pattern(int(seed)<<16+77, tt.len))
	host := runHost(p.host, toGuest)
	m := newModel(e, p, toHost, tt.gso, tt.bufLen, seed)
	m.run(link.lossy)
	host.wg.Wait()
	if host.err != nil || !bytes.Equal(host.in, toHost) {
		t.Errorf("host got %d bytes of %d, error %v; or they differ", len(host.in), len(toHost), host.err)
	}
	if !bytes.Equal(m.in, toGuest) {
		t.Errorf("guest got %d bytes of %d, or they differ", len(m.in), len(toGuest))
	}
	if tt.faults == (coretest.Faults{}) && e.h.Stats.Dropped == 0 && e.h.Stats.Retransmits+e.h.Stats.OutOfOrder != 0 {
		t.Errorf("nothing was lost, but %d segments sent again and %d out of order", e.h.Stats.Retransmits, e.h.Stats.OutOfOrder)
	}
}

func openForModel(e *env, tt modelCase) *peer {
	if tt.inbound {
		p := e.called()
		p.mss, p.shift = tt.mss, windowShift
		p.send(seg{flags: syn | ack, ack: 1, wnd: 8000})
		p.got()
		return p
	}
	l := hostListener(e.T, "127.0.0.1", tt.rcvbuf)
	p := e.newPeer(portOf(l.Addr()))
	p.mss, p.shift = tt.mss, windowShift
	if tt.wrap {
		p.wrapSoon(100000)
	}
	p.send(seg{flags: syn, wnd: 8000})
	p.host = accept(e.T, l)
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	if tt.wrap && p.irs <= 1<<31 {
		e.T.Fatalf("our initial sequence number is %d, want one that wraps soon", p.irs)
	}
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 1000})
	p.got()
	return p
}

// wrapSoon makes both initial sequence numbers lie n before 2^32; ours is a hash
// plus the clock.
func (p *peer) wrapSoon(n seqnum.Value) {
	p.iss = -n
	hash := seqnum.Value(p.h.table.Secret().ISN(p.key(), 0))
	p.Now = 1<<40 + int64(-n-hash)<<8
}

// run drives both ends until both streams have ended. While the host's kernel has
// nothing to tell, our clock moves on, by small steps.
func (m *model) run(lossy *coretest.Lossy) {
	m.e.T.Helper()
	end, limit := time.Now().Add(6*patience), m.e.Now+int64(20*time.Minute)
	for !m.done() {
		if m.e.Now > limit || time.Now().After(end) {
			m.e.T.Fatalf("no end after %v: sent %d of %d, acknowledged %d, received %d, fin %v %v",
				time.Duration(m.e.Now-limit)+20*time.Minute, m.nxt, len(m.out), m.una, len(m.in), m.finSeen, m.finAck)
		}
		before := m.e.Link.Stats.ToGuest + m.e.Link.Stats.FromGuest
		m.transmit()
		m.e.turn(0)
		m.receive()
		m.read()
		m.e.turn(0)
		if m.e.Link.Stats.ToGuest+m.e.Link.Stats.FromGuest == before {
			m.e.turn(100 * time.Microsecond)
			m.e.Now += int64(5 * time.Millisecond)
		} else {
			m.e.Now += int64(50 * time.Microsecond)
		}
		lossy.Flush()
	}
}
