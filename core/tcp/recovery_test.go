package tcp

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/seqnum"
)

// threeSegments has the host send 3000 bytes, which come in one
// super-frame of three segments.
func threeSegments(t *testing.T) (*peer, string) {
	t.Helper()
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.mss = 1000
	p.connect(l)
	all := pattern(0, 3000)
	p.hostSends(all)
	p.await(data(1, 1, all))
	return p, all
}

func TestRetransmissionTimeout(t *testing.T) {
	p, all := threeSegments(t)
	_, c := p.live()
	c.srtt = 0 // as if nothing had been measured: the initial time-out
	c.rtxAt = p.Now + rtoInitial
	start := p.Now
	for n, sec := range []int64{1, 3, 7, 15, 31, 63, 127} {
		p.advance(time.Duration(start + sec*1e9 - 1 - p.Now))
		p.expectOnlyProbes(n)
		p.advance(1)
		// Slow start: two segments.
		p.expect(data(1, 1, all[:2000]))
	}
	p.advance(119 * time.Second)
	p.expectOnlyProbes(7)
	p.advance(time.Second)
	p.expect(seg{flags: rst | ack, seq: 3001, ack: 1})
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

// expectOnlyProbes lets keep-alive probes pass.
func (p *peer) expectOnlyProbes(n int) {
	p.T.Helper()
	for _, s := range p.got() {
		if s.flags != ack || s.seq != 0 || s.data != "" {
			p.T.Fatalf("guest got %+v before retransmission %d", s, n+1)
		}
	}
}

func TestGoBackAfterTimeout(t *testing.T) {
	p, all := threeSegments(t)
	_, c := p.live()
	p.advance(time.Duration(c.rtxAt - p.Now))
	p.expect(data(1, 1, all[:2000]))
	p.send(pureAck(1, 1001))
	p.expect(data(2001, 1, all[2000:]))
	p.send(pureAck(1, 3001))
	p.expect()
	if _, c := p.live(); c.rtxAt != 0 || c.backoff != 0 {
		t.Errorf("timer %d and back-off %d with nothing in flight", c.rtxAt, c.backoff)
	}
}

// While old data is sent again, acknowledgments must carry the newest sequence
// number, or a guest that has the data finds them outside its window.
func TestAckWhileGoingBack(t *testing.T) {
	p, all := threeSegments(t)
	_, c := p.live()
	p.advance(time.Duration(c.rtxAt - p.Now))
	p.expect(data(1, 1, all[:2000]))
	p.send(data(1, 1, "from the guest"))
	p.expect(pureAck(3001, 15))
}

func TestResetWhileGoingBack(t *testing.T) {
	p, all := threeSegments(t)
	_, c := p.live()
	p.advance(time.Duration(c.rtxAt - p.Now))
	p.expect(data(1, 1, all[:2000]))
	p.hostResets()
	p.turn(100 * time.Millisecond)
	p.expect()
	p.send(pureAck(1, 1001))
	p.await(data(2001, 1, all[2000:]), seg{flags: rst | ack, seq: 3001, ack: 1})
}

func TestFastRetransmit(t *testing.T) {
	p, all := threeSegments(t)
	dup := pureAck(1, 1)
	p.send(dup, dup)
	p.expect()
	p.send(dup)
	p.expect(data(1, 1, all))
	p.send(dup, dup, dup)
	p.expect()
}

func TestPartialAckShowsTheNextLoss(t *testing.T) {
	p, all := threeSegments(t)
	dup := pureAck(1, 1)
	p.send(dup, dup, dup)
	p.expect(data(1, 1, all))
	p.send(pureAck(1, 1001))
	p.expect(data(1001, 1, all[1000:]))
	p.send(pureAck(1, 3001))
	p.expect()
	if _, c := p.live(); c.has(recovering) {
		t.Error("still recovering with everything acknowledged")
	}
}

func TestNoFastRetransmit(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   seg
	}{
		{"other window", seg{flags: ack, seq: 1, ack: 1}},
		{"data", data(1, 1, "x")},
		{"older acknowledgment", pureAck(1, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := threeSegments(t)
			for n := range 5 {
				s := tt.in
				if s.wnd != anyWnd {
					s.wnd = uint16(20000 + n)
				}
				p.send(s)
			}
			for _, s := range p.got() {
				if s.data != "" {
					t.Errorf("guest got %d bytes at %d again", len(s.data), s.seq)
				}
			}
		})
	}
}

// Duplicates of acknowledgments that came before a time-out find no loss (RFC 6582
// section 4).
func TestNoFastRetransmitAfterTimeout(t *testing.T) {
	p, all := threeSegments(t)
	_, c := p.live()
	p.advance(time.Duration(c.rtxAt - p.Now))
	p.expect(data(1, 1, all[:2000]))
	dup := pureAck(1, 1)
	p.send(dup, dup, dup, dup)
	p.expect()
}

func TestLinkRefusesAndComesBack(t *testing.T) {
	for _, what := range []string{"data", "FIN", "retransmission"} {
		for _, times := range []int{1, 2, 5} {
			t.Run(what, func(t *testing.T) { testLinkRefuses(t, what, times) })
		}
	}
}

func testLinkRefuses(t *testing.T, what string, times int) {
	p := newEnv(t, setup{}).outbound()
	want := data(1, 1, "payload")
	switch what {
	case "data":
		p.Dev.Refuse(times, syscall.ENOBUFS)
		p.hostSends("payload")
	case "FIN":
		p.Dev.Refuse(times, syscall.ENOBUFS)
		_ = p.host.CloseWrite()
		want = seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd}
	case "retransmission":
		p.hostSends("payload")
		p.await(want)
		_, c := p.live()
		p.Dev.Refuse(times, syscall.ENOBUFS)
		p.advance(time.Duration(c.rtxAt - p.Now))
	}
	p.until("refusal", func() bool { return p.Link.Stats.SendErrors > 0 })
	p.expect()
	p.advance(150 * time.Millisecond)
	p.expect(want)
}

// When the link says that it has room, nothing waits for timers.
func TestLinkReady(t *testing.T) {
	for _, what := range []string{"data", "FIN"} {
		t.Run(what, func(t *testing.T) {
			p := newEnv(t, setup{}).outbound()
			p.Dev.Refuse(1, syscall.ENOBUFS)
			want := data(1, 1, "payload")
			if what == "FIN" {
				_ = p.host.CloseWrite()
				want = seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd}
			} else {
				p.hostSends("payload")
			}
			p.until("refusal", func() bool { return p.Link.Stats.SendErrors > 0 })
			p.expect()
			for range 2 { // the second time for nothing
				p.h.LinkReady(p.Now)
				p.h.Flush(p.Now)
			}
			p.expect(want)
		})
	}
}

// The link has room again when the connection that it refused is gone.
func TestLinkReadyAfterEnd(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.Dev.Refuse(1, syscall.ENOBUFS)
	p.hostSends("payload")
	p.until("refusal", func() bool { return p.Link.Stats.SendErrors > 0 })
	p.send(seg{flags: rst, seq: 1})
	p.h.LinkReady(p.Now)
	p.h.Flush(p.Now)
	p.expect()
	if n := p.h.Len(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}

// A link that is down for long is not tried a thousand times a second.
func TestLinkDownForLong(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.Dev.Refuse(1<<30, syscall.EIO)
	p.hostSends("payload")
	p.until("refusal", func() bool { return p.Link.Stats.SendErrors > 0 })
	before := p.Link.Stats.SendErrors
	p.advance(time.Minute)
	if n := p.Link.Stats.SendErrors - before; n > 1000 {
		t.Errorf("%d attempts in a minute", n)
	}
	p.Dev.Refuse(0, 0)
	p.advance(time.Duration(linkRetryMax))
	p.expect(data(1, 1, "payload"))
}

func TestFastRetransmitRefusedByLink(t *testing.T) {
	p, all := threeSegments(t)
	_, c := p.live()
	p.Dev.Refuse(1, syscall.ENOBUFS)
	dup := pureAck(1, 1)
	p.send(dup, dup, dup)
	p.expect()
	if c.sndNxt != c.sndMax || c.sndUna != p.irs+1 {
		t.Errorf("SND.NXT %d, want %d", c.sndNxt-p.irs, c.sndMax-p.irs)
	}
	p.advance(time.Second)
	if got := p.got(); len(got) == 0 || !strings.HasPrefix(all, got[0].data) || got[0].seq != 1 {
		t.Errorf("guest got %+v, want the first segment again", got)
	}
}

func TestTimeoutMeasuredFromRoundTrips(t *testing.T) {
	h := &Handler{rtoMax: rtoMaxDefault}
	c := &conn{}
	if got := h.rto(c); got != rtoInitial {
		t.Errorf("initial time-out %v, want 1s", time.Duration(got))
	}
	c.set(synAgain)
	if got := h.rto(c); got != rtoAfterSyn {
		t.Errorf("time-out after a lost SYN %v, want 3s", time.Duration(got))
	}
	sample := func(r time.Duration) {
		c.set(timing)
		c.rttSeq, c.rttAt = 5, h.now
		h.now += int64(r)
		h.measureRTT(c, seqnum.Value(5))
	}
	sample(300 * time.Millisecond)
	if got, want := h.rto(c), int64(900*time.Millisecond); got != want { // RFC 6298 section 2.2
		t.Errorf("time-out %v after one sample, want %v", time.Duration(got), time.Duration(want))
	}
	for range 100 {
		sample(300 * time.Millisecond)
	}
	if got := h.rto(c); got < int64(300*time.Millisecond) || got > int64(320*time.Millisecond) {
		t.Errorf("time-out %v after equal samples of 300 ms", time.Duration(got))
	}
	for range 100 {
		sample(time.Microsecond)
	}
	if got := h.rto(c); got != rtoMin {
		t.Errorf("time-out %v for short round trips, want %v", time.Duration(got), time.Duration(rtoMin))
	}
	c.backoff = 16
	if got := h.rto(c); got != rtoMaxDefault {
		t.Errorf("time-out %v at most, want %v", time.Duration(got), time.Duration(rtoMaxDefault))
	}
}
