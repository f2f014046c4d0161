package tcp

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/tap"
)

// hostSendsUrgent writes b on the host, the last byte of it urgent.
func (p *peer) hostSendsUrgent(b string) {
	p.T.Helper()
	raw, err := p.host.SyscallConn()
	if err != nil {
		p.T.Fatal(err)
	}
	var sendErr error
	if err := raw.Control(func(fd uintptr) {
		sendErr = syscall.Sendto(int(fd), []byte(b), syscall.MSG_OOB, nil)
	}); err != nil || sendErr != nil {
		p.T.Fatalf("send urgent data: %v, %v", err, sendErr)
	}
}

// Urgent data of the host stays where it is in the stream.
func TestUrgentDataOfHost(t *testing.T) {
	for _, skip := range []bool{false, true} {
		t.Run(fmt.Sprintf("no peek offset %v", skip), func(t *testing.T) {
			p := newEnv(t, setup{opts: Options{noPeekOff: skip}}).outbound()
			want := ""
			for range 3 {
				p.hostSends("before")
				p.hostSendsUrgent("urgent!")
				p.hostSends("behind")
				want += "beforeurgent!behind"
				p.takeAll(want, skip)
				p.send(pureAck(1, 1+len(want)))
			}
			_ = p.host.CloseWrite()
			p.await(seg{flags: fin | ack, seq: 1 + len(want), ack: 1, wnd: anyWnd})
			p.send(seg{flags: fin | ack, seq: 1, ack: 2 + len(want), wnd: 65535})
			p.hostGetsEnd(io.EOF)
		})
	}
}

// takeAll waits until the guest has got want as the whole of the stream so far,
// without gap or repetition.
func (p *peer) takeAll(want string, acknowledge bool) {
	p.T.Helper()
	p.until("all data", func() bool {
		for _, s := range p.got() {
			if s.data != "" && s.seq != p.read+1 {
				p.T.Fatalf("guest got %v, want the data at %d", s, p.read+1)
			}
			if !strings.HasPrefix(want[p.read:], s.data) {
				p.T.Fatalf("guest got %v, want %q", s, want[p.read:])
			}
			p.read += len(s.data)
			if acknowledge {
				p.send(pureAck(1, 1+p.read))
			}
		}
		return p.read == len(want)
	})
}

// Three urgent bytes that were acknowledged together are discarded together, or a
// later close would find unread data and reset.
func TestUrgentDataIsDiscarded(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.hostSends("before")
	p.hostSendsUrgent("urgent!")
	p.hostSends("behind")
	p.takeAll("beforeurgent!behind", false)
	p.send(seg{flags: fin | ack, seq: 1, ack: 20, wnd: 65535})
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 20, ack: 2, wnd: anyWnd})
	if _, c := p.live(); c.acked != 0 {
		t.Errorf("%d acknowledged bytes not discarded", c.acked)
	}
	p.send(seg{flags: ack, seq: 2, ack: 21, wnd: 65535})
	p.hostGetsEnd(io.EOF)
	p.expectGone()
}

func TestSegmentation(t *testing.T) {
	noTSO := tap.Features{VnetHdr: true, Checksum: true}
	for _, tt := range []struct {
		name   string
		feat   tap.Features
		plain  bool
		mss    uint16
		frames int // for 4000 bytes
	}{
		{"super-frame", coretest.AllFeatures, false, 1000, 1},
		{"cut here", noTSO, false, 1000, 4},
		{"cut and summed here", tap.Features{}, true, 1000, 4},
		{"last one shorter", noTSO, false, 1460, 3},
		{"small segments", noTSO, false, minMSS, 46},
		{"super-frame of small segments", coretest.AllFeatures, false, minMSS, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{feat: tt.feat, plain: tt.plain})
			l := hostListener(t, "127.0.0.1", 0)
			p := e.newPeer(portOf(l.Addr()))
			p.mss = tt.mss
			p.connect(l)
			all := pattern(0, 4000)
			p.hostSends(all)
			var want []seg
			for size, off := len(all)/tt.frames, 0; off < len(all); off += size {
				if tt.frames > 1 {
					size = int(tt.mss)
				}
				s := data(1+off, 1, all[off:min(off+size, len(all))])
				if off+size < len(all) {
					s.flags &^= psh
				}
				want = append(want, s)
			}
			p.await(want...)
			if f := p.last; tt.frames == 1 && (f.GSO != packet.GSOTCP || f.GSOSize != tt.mss) {
				t.Errorf("segmentation %d in %d, want TCP in %d", f.GSO, f.GSOSize, tt.mss)
			}
		})
	}
}

// refuser is a device that refuses every third frame.
type refuser struct {
	tap.Device
	n int
}

func (r *refuser) Send(hdr, payload []byte) syscall.Errno {
	if r.n++; r.n%3 == 0 {
		return syscall.ENOBUFS
	}
	return r.Device.Send(hdr, payload)
}

// A link that cuts super-frames may refuse in the middle.
func TestLinkRefusesInTheMiddle(t *testing.T) {
	e := newEnv(t, setup{
		feat: tap.Features{VnetHdr: true, Checksum: true},
		wrap: func(d tap.Device) tap.Device { return &refuser{Device: d} },
	})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.mss = 1000
	p.connect(l)
	all := pattern(0, 20000)
	p.hostSends(all)
	p.until("all data", func() bool {
		for _, s := range p.got() {
			if s.seq != p.read+1 || s.data != all[p.read:p.read+len(s.data)] {
				t.Fatalf("guest got %v, want the data at %d", s, p.read+1)
			}
			p.read += len(s.data)
		}
		if p.Link.Stats.SendErrors > 0 {
			e.advance(time.Duration(linkRetry))
		}
		return p.read == len(all)
	})
	if n := p.h.Stats.Retransmits; n != 0 {
		t.Errorf("%d retransmissions, want none", n)
	}
}

func TestSkippingPeekFollowsAcknowledgments(t *testing.T) {
	p := newEnv(t, setup{opts: Options{noPeekOff: true}}).outbound()
	all := pattern(0, 50000)
	for off := 0; off < len(all); off += 5000 {
		p.hostSends(all[off : off+5000])
		p.takeAll(all[:off+5000], false)
		if off%15000 == 0 { // otherwise it stays on the socket and is skipped
			p.send(pureAck(1, 1+off+2500))
		}
	}
	p.send(pureAck(1, 1+len(all)))
	if _, c := p.live(); c.inFlight() != 0 || c.acked != 0 {
		t.Errorf("%d bytes in flight, %d not discarded", c.inFlight(), c.acked)
	}
}

// A connection with much to send leaves others their turn and goes on later.
func TestLongTransferIsSplitIntoTurns(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	p.shift = 14
	p.connect(l)
	_, c := p.live()
	c.sndWnd, c.maxWnd = 1<<30, 1<<30
	want := seqnum.Value(0)
	go func() { _, _ = p.host.Write(make([]byte, 8<<20)) }()
	p.until("8 MiB", func() bool {
		for _, f := range p.Dev.Take(t) {
			want += seqnum.Value(len(f.TCP(t).Payload()))
		}
		p.send(seg{flags: ack, seq: 1, ack: 1 + int(want), wnd: 65535})
		return want == 8<<20
	})
	if n := len(p.h.backlog); n > 1 {
		t.Errorf("%d entries in the backlog for one connection", n)
	}
}

func TestAcknowledgedDataDoesNotStayOnTheHostSocket(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lazy  uint32
		sent  int
		stays int // for longer than discardWithin
	}{
		{"small receive buffer", 0, 1, 0},
		{"a few bytes in an ample one", discardLazily, discardLazily, discardLazily},
		{"more in an ample one", discardLazily, discardLazily + 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).outbound()
			p.h.lazyLen = tt.lazy
			all := pattern(0, tt.sent)
			p.hostSends(all)
			p.await(data(1, 1, all))
			p.send(seg{flags: ack, seq: 1, ack: 1 + tt.sent, wnd: 65535})
			_, c := p.live()
			if int(c.acked) != tt.sent {
				t.Fatalf("%d bytes deferred, want %d: the test does not reach what it is about", c.acked, tt.sent)
			}
			p.advance(time.Duration(discardWithin))
			if int(c.acked) != tt.stays {
				t.Errorf("%d acknowledged bytes on the host socket after %v, want %d",
					c.acked, time.Duration(discardWithin), tt.stays)
			}
		})
	}
}

// What is discarded now and then is not while the guest waits for data.
func TestDiscardKeepsNobodyWaiting(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_, c := p.live()
	const rounds = 4 * discardRuns
	discards, least, most := 0, 4, 8
	if p.h.skipLen > 0 { // nothing may stay
		least, most = rounds, rounds
	}
	for round := range rounds {
		before := c.acked
		p.hostSends("x")
		p.await(data(1+round, 1, "x"))
		if c.acked != before {
			t.Fatalf("round %d: %d bytes discarded before the guest got its own", round, before-c.acked)
		}
		p.send(pureAck(1, 2+round))
		if c.acked <= before {
			discards++
		}
	}
	if discards < least || discards > most {
		t.Errorf("discarded %d times in %d rounds, want %d to %d times", discards, rounds, least, most)
	}
}

func TestLazyDiscard(t *testing.T) {
	rmem, err := os.ReadFile("/proc/sys/net/ipv4/tcp_rmem")
	if err != nil {
		t.Fatal(err)
	}
	want := uint32(0)
	if size, _ := strconv.Atoi(strings.Fields(string(rmem))[1]); size >= ampleBuffer {
		want = discardLazily
	}
	if got := lazyDiscard(); got != want {
		t.Errorf("%d bytes may stay with receive buffers of %s, want %d", got, rmem, want)
	}
}
