package tcp

import (
	"testing"
	"time"
)

func TestZeroWindow(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
	p.got()
	p.hostSends("waiting")
	p.until("data", func() bool { _, c := p.live(); return c.has(readable) && c.rtxAt != 0 })
	probe := pureAck(0, 1)
	_, c := p.live()
	wait := time.Duration(c.rtxAt - p.Now)
	for range 4 {
		p.advance(wait)
		p.expect(probe)
		p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
		p.expect()
		wait *= 2
	}
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 100})
	p.expect(data(1, 1, "waiting"))
}

// A guest that answers probes may keep its window closed for ever, one that does not
// is given up.
func TestZeroWindowForLong(t *testing.T) {
	for _, answers := range []bool{true, false} {
		p := newEnv(t, setup{}).outbound()
		p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
		p.hostSends("waiting")
		p.until("data", func() bool { _, c := p.live(); return c.has(readable) && c.rtxAt != 0 })
		for range 600 {
			p.advance(time.Second)
			if n := len(p.got()); n > 0 && answers {
				p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
			}
		}
		if want := map[bool]int{true: 1, false: 0}[answers]; p.h.Len() != want {
			t.Errorf("guest answers %v: %d connections after 10 minutes, want %d", answers, p.h.Len(), want)
		}
	}
}

// A guest short of memory may take its window back to zero over data in flight, which
// it drops. Its answers to probes are no duplicates, and when the window opens all
// is sent again at once.
func TestWindowTakenBack(t *testing.T) {
	p, all := threeSegments(t)
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
	for range 5 {
		_, c := p.live()
		p.advance(time.Duration(c.rtxAt - p.Now))
		p.expect(pureAck(0, 1))
		p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
		p.expect()
	}
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 65535})
	p.expect(data(1, 1, all))
}

// An acknowledgment while the window is taken back is inside what the guest takes.
func TestAckWithinWindowTakenBack(t *testing.T) {
	p, _ := threeSegments(t)
	p.send(seg{flags: ack | psh, seq: 1, ack: 1, wnd: 0, data: "x"})
	p.expect(pureAck(1, 2))
}

func TestSillyWindow(t *testing.T) {
	p, _ := threeSegments(t)
	p.hostSends(pattern(3000, 500))
	p.await(data(3001, 1, pattern(3000, 500)))
	p.send(seg{flags: ack, seq: 1, ack: 3001, wnd: 600}) // 500 in flight
	p.hostSends(pattern(3500, 2000))
	p.until("data", func() bool { _, c := p.live(); return c.has(readable) })
	p.expect()
	p.send(seg{flags: ack, seq: 1, ack: 3501, wnd: 600})
	p.expect(data(3501, 1, pattern(3500, 600)))
}

func TestWindowIsFilledAndNotOverrun(t *testing.T) {
	p, _ := threeSegments(t)
	p.send(seg{flags: ack, seq: 1, ack: 3001, wnd: 2500})
	p.expect()
	p.hostSends(pattern(3000, 9000))
	p.await(data(3001, 1, pattern(3000, 2500)))
	p.turn(0)
	p.expect()
	p.send(seg{flags: ack, seq: 1, ack: 5501, wnd: 2500})
	p.expect(data(5501, 1, pattern(5500, 2500)))
}

func TestOldWindowUpdateIsIgnored(t *testing.T) {
	p, _ := threeSegments(t)
	p.send(seg{flags: ack, seq: 1, ack: 2001, wnd: 5000})
	p.send(seg{flags: ack, seq: 1, ack: 1001, wnd: 9000}) // came late
	if _, c := p.live(); c.sndWnd != 5000 {
		t.Errorf("window %d, want 5000", c.sndWnd)
	}
}

func TestCongestionWindowGrows(t *testing.T) {
	h := &Handler{}
	for _, tt := range []struct {
		name                  string
		mss                   uint16
		cwnd, ssthresh, acked uint32
		want                  uint32
	}{
		{"slow start", 1000, 2000, 50000, 1000, 3000},
		{"avoidance", 1000, 10000, 5000, 1000, 10100},
		{"avoidance, a whole window", 1000, 10000, 5000, 10000, 11000},
		{"large segments", 65480, 400000, 1000, 400000, 465480},
		{"at least a byte", 88, 500000, 1000, 10, 500001},
		{"no loss so far", 1000, noCwnd, 0, 1000, noCwnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &conn{mss: tt.mss, cwnd: tt.cwnd, ssthresh: tt.ssthresh}
			h.grow(c, tt.acked)
			if c.cwnd != tt.want {
				t.Errorf("window %d, want %d", c.cwnd, tt.want)
			}
		})
	}
}
