package tcp

import (
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

func TestOutboundConnection(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: ack | psh, seq: 1, ack: 1, wnd: 65535, data: "request"})
	p.hostGets("request")
	p.expect(pureAck(1, 8))
	p.hostSends("answer")
	p.await(data(1, 8, "answer"))
	_ = p.host.CloseWrite()
	p.send(seg{flags: ack, seq: 8, ack: 7, wnd: 65535})
	p.await(seg{flags: fin | ack, seq: 7, ack: 8, wnd: anyWnd})
	p.send(seg{flags: fin | ack, seq: 8, ack: 8, wnd: 65535})
	p.expect(pureAck(8, 9))
	p.hostGetsEnd(io.EOF)
	p.advance(time.Duration(timeWaitFor))
	p.expectGone()
}

func TestSynIsAnsweredOnceTheHostIsConnected(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.inject(seg{flags: syn, wnd: 1000})
	e.fromTap()
	p.expect()
	p.inject(seg{flags: syn, wnd: 1000}) // again, while the host connects
	e.fromTap()
	p.expect()
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
}

func TestOutboundIPv6(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "::1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.guest, p.remote = netip.AddrPortFrom(guest6, guestPort), netip.AddrPortFrom(gateway6, portOf(l.Addr()))
	p.connect(l)
	p.send(seg{flags: ack | psh, seq: 1, ack: 1, wnd: 65535, data: "six"})
	p.hostGets("six")
	p.expect(pureAck(1, 4))
}

// answered is a peer whose SYN the host has answered: SYN-RECEIVED.
func answered(t *testing.T) *peer {
	t.Helper()
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.send(seg{flags: syn, wnd: 65535})
	p.host = accept(t, l)
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	return p
}

func TestSynAckIsSentAgainThenReset(t *testing.T) {
	p := answered(t)
	checkSynRetries(t, p, seg{flags: syn | ack, ack: 1, wnd: 65535}, seg{flags: rst | ack, seq: 1, ack: 1})
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

// checkSynRetries has the guest stay silent: again comes after 1, 2, 3, 4, 5, 7 and
// 11 s, last after 19 s.
func checkSynRetries(t *testing.T, p *peer, again, last seg) {
	t.Helper()
	start := p.Now
	for _, sec := range []int64{1, 2, 3, 4, 5, 7, 11, 19} {
		p.advance(time.Duration(start + sec*1e9 - 1 - p.Now))
		p.expect()
		p.advance(1)
		if sec == 19 {
			again = last
		}
		p.expect(again)
	}
}

func TestSynRetriesFollowTheHost(t *testing.T) {
	linear := func(n int) *int { return &n }
	const sec = time.Second
	tests := []struct {
		name    string
		host    config.Timeouts
		retries int
		waits   []time.Duration
	}{
		{"both known", config.Timeouts{TCPSynRetries: 2, TCPSynLinear: linear(1)}, 3, []time.Duration{sec, sec, 2 * sec, 4 * sec}},
		{"none linear", config.Timeouts{TCPSynRetries: 2, TCPSynLinear: linear(0)}, 2, []time.Duration{sec, 2 * sec, 4 * sec}},
		{"unknown", config.Timeouts{}, maxSynRetries, []time.Duration{sec, sec, sec, sec, sec, 2 * sec}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSynTimers(&tt.host)
			if s.retries != tt.retries {
				t.Errorf("%d retries, want %d", s.retries, tt.retries)
			}
			for n, want := range tt.waits {
				if got := synTimeout(&s, n); got != int64(want) {
					t.Errorf("time-out %d is %v, want %v", n, time.Duration(got), want)
				}
			}
		})
	}
}

func checkState(t *testing.T, e *env, want state) {
	t.Helper()
	if want == closed {
		e.expectGone()
		return
	}
	if _, c := e.live(); c.state != want {
		t.Errorf("state %d, want %d", c.state, want)
	}
}

func TestSynReceived(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    seg
		want  []seg
		state state
	}{
		{"SYN again", seg{flags: syn, wnd: 65535}, []seg{{flags: syn | ack, ack: 1, wnd: 65535}}, synRcvd},
		{"other SYN in the window", seg{flags: syn, seq: 100}, []seg{pureAck(1, 1)}, synRcvd},
		{"ACK of nothing new", seg{flags: ack, seq: 1, ack: 0}, []seg{{flags: rst, seq: 0}}, synRcvd},
		{"ACK of too much", seg{flags: ack, seq: 1, ack: 2}, []seg{{flags: rst, seq: 2}}, synRcvd},
		{"RST", seg{flags: rst, seq: 1}, nil, closed},
		{"RST in the window", seg{flags: rst, seq: 2}, []seg{pureAck(1, 1)}, synRcvd},
		{"RST outside the window", seg{flags: rst, seq: 70000}, nil, synRcvd},
		{"data without ACK", seg{flags: psh, seq: 1, data: "x"}, nil, synRcvd},
		{"data with ACK", seg{flags: ack, seq: 1, ack: 1, wnd: 9, data: "x"}, []seg{pureAck(1, 2)}, established},
		{"FIN,ACK", seg{flags: ack | fin, seq: 1, ack: 1, wnd: 9}, []seg{pureAck(1, 2)}, closeWait},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := answered(t)
			p.send(tt.in)
			p.advance(time.Duration(finAckDelay))
			p.expect(tt.want...)
			checkState(t, p.env, tt.state)
		})
	}
}

func TestWhileTheHostConnects(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in      seg
		live    bool
		wantAck int
	}{
		{"guest resets", seg{flags: rst, seq: 1}, false, 0},
		{"stray RST", seg{flags: rst, seq: 9}, true, 1},
		{"other SYN takes over", seg{flags: syn, seq: 5000, wnd: 1}, true, 5001},
		{"data", seg{flags: ack, seq: 1, data: "x"}, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			l := hostListener(t, "127.0.0.1", 0)
			p := e.newPeer(portOf(l.Addr()))
			p.inject(seg{flags: syn, wnd: 65535})
			p.inject(tt.in)
			e.fromTap()
			p.expect()
			if !tt.live {
				p.expectGone()
				return
			}
			p.await(seg{flags: syn | ack, ack: tt.wantAck, wnd: 65535})
		})
	}
}

func TestOptionsOfSynAck(t *testing.T) {
	for _, tt := range []struct {
		name        string
		mtu         int
		mss         uint16
		shift       int8
		wantMSS     uint16 // that we offer
		wantShift   int    // that we offer; -1: none
		wantSegment int    // payload bytes per segment to the guest
	}{
		{"usual", 1500, 1460, 7, 1460, 8, 1460},
		{"no window scale", 1500, 1460, -1, 1460, -1, 1460},
		{"no MSS", 1500, 0, -1, 1460, -1, 536},
		{"guest asks for less", 1500, 500, 14, 1460, 8, 500},
		{"guest asks for more", 1500, 9000, 0, 1460, 8, 1460},
		{"absurdly small", 1500, 1, 0, 1460, 8, minMSS},
		{"jumbo", 65520, 65480, 0, 65480, 8, 65480},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{mtu: tt.mtu})
			l := hostListener(t, "127.0.0.1", 0)
			p := e.newPeer(portOf(l.Addr()))
			p.mss, p.shift = tt.mss, tt.shift
			p.connect(l)
			o := p.synOptions()
			shift := int(o.WScale)
			if !o.HasWScale {
				shift = -1
			}
			if o.MSS != tt.wantMSS || shift != tt.wantShift {
				t.Errorf("MSS %d and shift %d, want %d and %d", o.MSS, shift, tt.wantMSS, tt.wantShift)
			}
			if _, c := e.live(); int(c.mss) != tt.wantSegment {
				t.Errorf("segments of %d bytes, want %d", c.mss, tt.wantSegment)
			}
		})
	}
}

// synOptions are the options of the SYN or SYN,ACK that the guest was sent last.
func (p *peer) synOptions() packet.SynOptions { return p.last.TCP(p.T).SynOptions() }

func TestWindowInSynIsNotScaled(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.shift = 4
	p.send(seg{flags: syn, wnd: 8})
	p.host = accept(t, l)
	p.until("SYN,ACK", func() bool { return e.h.conns[0].state == synRcvd })
	if got := e.h.conns[0].sndWnd; got != 8 {
		t.Errorf("window %d from SYN, want 8", got)
	}
	p.got()
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 8})
	if got := e.h.conns[0].sndWnd; got != 128 {
		t.Errorf("window %d after it, want 128", got)
	}
}

func TestInitialSequenceNumbersDiffer(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	seen := map[seqnum.Value]bool{}
	for i := range 8 {
		p := e.newPeer(portOf(l.Addr()))
		p.guest = netip.AddrPortFrom(guest4, uint16(guestPort+i))
		p.send(seg{flags: syn, wnd: 8})
		p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
		seen[p.irs] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d different initial sequence numbers of 8", len(seen))
	}
}

func TestSynWithDataIsSynAlone(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.send(seg{flags: syn, wnd: 65535, data: "early"})
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	p.host = accept(t, l)
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 65535, data: "early"})
	p.hostGets("early")
	p.expect(pureAck(1, 6))
}

// A host that has said everything and closed before we see that it is connected:
// that is one event, and there will be no other.
func TestHostClosesAtOnce(t *testing.T) {
	for _, text := range []string{"banner", ""} {
		e := newEnv(t, setup{})
		l := hostListener(t, "127.0.0.1", 0)
		p := e.newPeer(portOf(l.Addr()))
		p.inject(seg{flags: syn, wnd: 65535})
		e.fromTap()
		p.host = accept(t, l)
		p.hostSends(text)
		_ = p.host.CloseWrite()
		p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
		p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 65535})
		var want []seg
		if text != "" {
			want = append(want, data(1, 1, text))
		}
		p.await(append(want, seg{flags: fin | ack, seq: 1 + len(text), ack: 1, wnd: anyWnd})...)
	}
}
