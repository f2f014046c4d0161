package tcp

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

func errorIs(err, want error) bool { return errors.Is(err, want) }

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
	p.advance(2 * time.Second)
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

func TestRefusedConnectionIsReset(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	_ = l.Close()
	p.send(seg{flags: syn, wnd: 65535})
	p.await(seg{flags: rst | ack, ack: 1})
	p.expectGone()
}

func TestFailedConnect(t *testing.T) {
	for _, tt := range []struct {
		name         string
		errno        syscall.Errno
		typ4, typ6   uint8 // of the ICMP message; 0: RST
		code4, code6 uint8
		silent       bool
	}{
		{name: "refused", errno: syscall.ECONNREFUSED},
		{name: "reset", errno: syscall.ECONNRESET},
		{name: "no answer", errno: syscall.ETIMEDOUT, silent: true},
		{name: "no route", errno: syscall.ENETUNREACH, typ4: 3, code4: 0, typ6: 1, code6: 0},
		{name: "no neighbour", errno: syscall.EHOSTUNREACH, typ4: 3, code4: 1, typ6: 1, code6: 3},
		{name: "forbidden", errno: syscall.EACCES, typ4: 3, code4: 13, typ6: 1, code6: 1},
	} {
		for n := range 4 {
			v4, late := n&1 == 0, n&2 != 0
			t.Run(fmt.Sprintf("%s, IPv4 %v, late %v", tt.name, v4, late), func(t *testing.T) {
				typ, code := tt.typ6, tt.code6
				if v4 {
					typ, code = tt.typ4, tt.code4
				}
				testFailedConnect(t, v4, late, tt.errno, typ, code, tt.silent)
			})
		}
	}
}

// testFailedConnect lets the host's attempt fail with errno, at once or later.
func testFailedConnect(t *testing.T, v4, late bool, errno syscall.Errno, typ, code uint8, silent bool) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	if !v4 {
		l = hostListener(t, "::1", 0)
		p.guest, p.remote = netip.AddrPortFrom(guest6, guestPort), netip.AddrPortFrom(gateway6, portOf(l.Addr()))
	}
	p.inject(seg{flags: syn, wnd: 65535})
	if late {
		e.fromTap()
		i, c := e.live()
		e.h.connectFailed(i, c, errno)
	} else {
		if drop, recvErrno := e.link.Recv(e.slots[0], &e.pkts[0]); drop != packet.DropNone || recvErrno != 0 {
			t.Fatalf("Recv = %v, %v", drop, recvErrno)
		}
		s, _ := packet.ParseTCP(e.pkts[0].L4)
		e.h.refuse(&e.pkts[0], s, errno)
	}
	e.expectGone()
	switch frames := e.dev.Take(t); {
	case silent:
		if len(frames) != 0 {
			t.Errorf("%d frames, want silence", len(frames))
		}
	case typ == 0:
		if got := frames[0].TCP(t); got.Flags() != rst|ack || got.Ack() != guestISS+1 {
			t.Errorf("flags %#x, ack %d, want RST,ACK of %d", got.Flags(), got.Ack(), guestISS+1)
		}
	default:
		checkUnreachable(t, p, frames[0], typ, code)
	}
}

func checkUnreachable(t *testing.T, p *peer, f *coretest.Frame, typ, code uint8) {
	t.Helper()
	m := f.ICMP(t)
	if m.Type() != typ || m.Code() != code {
		t.Errorf("ICMP type %d code %d, want %d and %d", m.Type(), m.Code(), typ, code)
	}
	var quoted packet.Packet
	etherType := []byte{0x86, 0xdd}
	if p.guest.Addr().Is4() {
		etherType = []byte{0x08, 0x00}
	}
	frame := append(append(make([]byte, 12), etherType...), m.Payload()...)
	if d := quoted.Parse(frame); d != packet.DropNone {
		t.Fatalf("quoted packet does not parse: %v", d)
	}
	s, ok := packet.ParseTCP(quoted.L4)
	if !ok || quoted.Src.Netip() != p.guest.Addr() || quoted.Dst.Netip() != p.remote.Addr() ||
		s.SrcPort() != p.guest.Port() || s.DstPort() != p.remote.Port() || s.Seq() != p.iss {
		t.Errorf("quoted % x is not the guest's SYN", quoted.L3)
	}
}

func TestSynAckIsSentAgainThenReset(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.send(seg{flags: syn, wnd: 65535})
	p.host = accept(t, l)
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	checkSynRetries(t, p, seg{flags: syn | ack, ack: 1, wnd: 65535}, seg{flags: rst | ack, seq: 1, ack: 1})
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

func TestSynIsSentAgainThenReset(t *testing.T) {
	p := newEnv(t, setup{}).called()
	checkSynRetries(t, p, seg{flags: syn, wnd: 65535}, seg{flags: rst, seq: 1})
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

// checkSynRetries has the guest stay silent: again comes after 1, 2, 3, 4, 5, 7 and
// 11 s, last after 19 s.
func checkSynRetries(t *testing.T, p *peer, again, last seg) {
	t.Helper()
	start := p.now
	for _, sec := range []int64{1, 2, 3, 4, 5, 7, 11, 19} {
		p.advance(time.Duration(start + sec*1e9 - 1 - p.now))
		p.expect()
		p.advance(1)
		if sec == 19 {
			again = last
		}
		p.expect(again)
	}
}

func TestSynRetriesFollowTheHost(t *testing.T) {
	s := newSynTimers(&config.Timeouts{TCPSynRetries: 2, TCPSynLinear: 1})
	if s.retries != 3 {
		t.Errorf("%d retries, want 3", s.retries)
	}
	for n, want := range []time.Duration{time.Second, time.Second, 2 * time.Second, 4 * time.Second} {
		if got := synTimeout(&s, n); got != int64(want) {
			t.Errorf("time-out %d is %v, want %v", n, time.Duration(got), want)
		}
	}
}

func TestInboundConnection(t *testing.T) {
	p := newEnv(t, setup{}).inbound()
	p.hostSends("hello")
	p.await(data(1, 1, "hello"))
	p.send(seg{flags: ack | psh, seq: 1, ack: 6, wnd: 65535, data: "world"})
	p.hostGets("world")
	p.expect(pureAck(6, 6))
}

func TestInboundRefusedByGuest(t *testing.T) {
	p := newEnv(t, setup{}).called()
	p.send(seg{flags: rst | ack, ack: 1})
	p.expect()
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

func TestSynSent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    seg
		want  []seg
		state state // closed: the connection is gone
	}{
		{"SYN,ACK", seg{flags: syn | ack, ack: 1, wnd: 100}, []seg{pureAck(1, 1)}, established},
		{"SYN,ACK of something else", seg{flags: syn | ack, ack: 7, wnd: 100}, []seg{{flags: rst, seq: 7}}, synSent},
		{"ACK without SYN", seg{flags: ack, seq: 1, ack: 1, wnd: 100}, nil, synSent},
		{"ACK of something else", seg{flags: ack, seq: 1, ack: 2, wnd: 100}, []seg{{flags: rst, seq: 2}}, synSent},
		{"RST", seg{flags: rst}, nil, synSent},
		{"RST,ACK of something else", seg{flags: rst | ack, ack: 2}, nil, synSent},
		{"RST,ACK", seg{flags: rst | ack, ack: 1}, nil, closed},
		{"SYN", seg{flags: syn, wnd: 100}, []seg{{flags: syn | ack, ack: 1, wnd: 65535}}, synRcvd},
		{"FIN", seg{flags: fin}, nil, synSent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).called()
			p.send(tt.in)
			p.expect(tt.want...)
			checkState(t, p.env, tt.state)
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

func TestSimultaneousOpen(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   seg
	}{
		{"guest answers with SYN,ACK", seg{flags: syn | ack, ack: 1, wnd: 65535}}, // RFC 9293 figure 7
		{"guest answers with ACK", seg{flags: ack, seq: 1, ack: 1, wnd: 65535}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).called()
			p.send(seg{flags: syn, wnd: 65535})
			p.expect(seg{flags: syn | ack, ack: 1, wnd: 65535})
			p.send(tt.in)
			checkState(t, p.env, established)
			p.got()
			p.send(seg{flags: ack | psh, seq: 1, ack: 1, wnd: 65535, data: "x"})
			p.hostGets("x")
			p.expect(pureAck(1, 2))
		})
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
			e := newEnv(t, setup{})
			l := hostListener(t, "127.0.0.1", 0)
			p := e.newPeer(portOf(l.Addr()))
			p.send(seg{flags: syn, wnd: 65535})
			p.host = accept(t, l)
			p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
			p.send(tt.in)
			p.expect(tt.want...)
			checkState(t, e, tt.state)
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

func TestResetOnUnknownSegment(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   seg
		want []seg
	}{
		{"ACK", seg{flags: ack, seq: 5, ack: 77}, []seg{{flags: rst, seq: 77}}},
		{"FIN,ACK", seg{flags: fin | ack, seq: 5, ack: 77}, []seg{{flags: rst, seq: 77}}},
		{"FIN", seg{flags: fin, seq: 5}, []seg{{flags: rst | ack, ack: 6}}},
		{"data without ACK", seg{flags: psh, seq: 5, data: "four"}, []seg{{flags: rst | ack, ack: 9}}},
		{"SYN,ACK", seg{flags: syn | ack, seq: 5, ack: 77}, []seg{{flags: rst, seq: 77}}},
		{"SYN,FIN", seg{flags: syn | fin, seq: 5}, []seg{{flags: rst | ack, ack: 7}}},
		{"RST", seg{flags: rst, seq: 5}, nil},
		{"RST,ACK", seg{flags: rst | ack, seq: 5, ack: 77}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).newPeer(80)
			p.send(tt.in)
			p.expect(tt.want...)
			p.expectGone()
		})
	}
}

func TestNoAnswerToUnusableAddresses(t *testing.T) {
	for _, tt := range []struct{ name, src, dst string }{
		{"multicast destination", "10.66.0.2:1000", "224.0.0.1:80"},
		{"broadcast destination", "10.66.0.2:1000", "255.255.255.255:80"},
		{"loopback source", "127.0.0.1:1000", "10.66.0.1:80"},
		{"loopback destination", "10.66.0.2:1000", "127.0.0.1:80"},
		{"unspecified source", "0.0.0.0:1000", "10.66.0.1:80"},
		{"multicast source", "224.0.0.1:1000", "10.66.0.1:80"},
		{"source port 0", "10.66.0.2:0", "10.66.0.1:80"},
		{"destination port 0", "10.66.0.2:1000", "10.66.0.1:0"},
		{"land", "10.66.0.2:1000", "10.66.0.2:1000"},
		{"IPv6 multicast", "[fd66::2]:1000", "[ff02::1]:80"},
		{"IPv6 unspecified", "[::]:1000", "[fd66::1]:80"},
	} {
		for _, flags := range []uint8{syn, ack} {
			t.Run(fmt.Sprintf("%s, flags %#x", tt.name, flags), func(t *testing.T) {
				e := newEnv(t, setup{})
				src, dst := netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst)
				e.dev.Inject(coretest.TCP(src, dst, packet.TCPHeader{Flags: flags}, nil))
				e.turn(0)
				if n := e.dev.Sent(); n != 0 {
					t.Errorf("%d frames sent, want none", n)
				}
				e.expectGone()
			})
		}
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
func (p *peer) synOptions() packet.SynOptions { return p.last.TCP(p.t).SynOptions() }

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

func TestFlowTableFull(t *testing.T) {
	e := newEnv(t, setup{opts: Options{MaxFlows: 1}})
	a := e.listen(guestPort)
	p := e.outbound()
	q := e.newPeer(p.remote.Port())
	q.guest = netip.AddrPortFrom(guest4, guestPort+1)
	q.send(seg{flags: syn, wnd: 65535})
	q.expect()
	if got := e.link.Stats.Drops[packet.DropTableFull]; got != 1 {
		t.Errorf("%d drops for a full table, want 1", got)
	}
	c := dial(t, a)
	e.until("pause of the listener", func() bool { return e.h.paused != 0 })
	e.turn(0)
	if e.dev.Sent() != 0 {
		t.Fatal("the client was accepted although the table is full")
	}
	p.send(seg{flags: rst, seq: 1})
	e.advance(time.Duration(listenPause))
	q = e.newPeer(portOf(c.LocalAddr()))
	q.await(seg{flags: syn, wnd: 65535})
}
