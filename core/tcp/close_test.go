package tcp

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/loop"
)

func TestGuestClosesFirst(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: fin | ack | psh, seq: 1, ack: 1, wnd: 65535, data: "last"})
	p.expect(pureAck(1, 6))
	p.hostGets("last")
	p.hostGetsEnd(io.EOF)
	checkState(t, p.env, closeWait)
	p.hostSends("more") // the other direction is still open
	p.await(data(1, 6, "more"))
	_ = p.host.Close()
	p.await(seg{flags: fin | ack, seq: 5, ack: 6, wnd: anyWnd})
	checkState(t, p.env, lastAck)
	p.send(seg{flags: ack, seq: 6, ack: 6, wnd: 65535})
	p.expect()
	p.expectGone()
}

func TestHostClosesFirst(t *testing.T) {
	p := newEnv(t, setup{}).inbound()
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
	checkState(t, p.env, finWait1)
	p.send(seg{flags: ack, seq: 1, ack: 2, wnd: 65535})
	checkState(t, p.env, finWait2)
	p.send(seg{flags: ack | psh, seq: 1, ack: 2, wnd: 65535, data: "still"}) // half-closed
	p.hostGets("still")
	p.expect(pureAck(2, 6))
	p.send(seg{flags: fin | ack, seq: 6, ack: 2, wnd: 65535})
	p.expect(pureAck(2, 7))
	p.hostGetsEnd(io.EOF)
	checkState(t, p.env, timeWait)
	p.advance(time.Duration(timeWaitFor))
	p.expectGone()
}

func TestSimultaneousClose(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
	p.send(seg{flags: fin | ack, seq: 1, ack: 1, wnd: 65535}) // crosses ours
	p.expect(pureAck(2, 2))
	checkState(t, p.env, closing)
	p.send(seg{flags: ack, seq: 2, ack: 2, wnd: 65535})
	checkState(t, p.env, timeWait)
	p.hostGetsEnd(io.EOF)
	p.advance(time.Duration(timeWaitFor))
	p.expectGone()
}

func TestFinAndItsAckInOneSegment(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
	p.send(seg{flags: fin | ack, seq: 1, ack: 2, wnd: 65535})
	p.expect(pureAck(2, 2))
	checkState(t, p.env, timeWait)
}

// inTimeWait brings a connection there; the guest's next number is 2.
func inTimeWait(t *testing.T) *peer {
	t.Helper()
	p := newEnv(t, setup{}).outbound()
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
	p.send(seg{flags: fin | ack, seq: 1, ack: 2, wnd: 65535})
	p.expect(pureAck(2, 2))
	return p
}

func TestTimeWait(t *testing.T) {
	half := time.Duration(timeWaitFor) / 2
	t.Run("FIN again is acknowledged and starts the time anew", func(t *testing.T) {
		p := inTimeWait(t)
		p.advance(half)
		p.send(seg{flags: fin | ack, seq: 1, ack: 2, wnd: 65535})
		p.expect(pureAck(2, 2))
		p.advance(half)
		checkState(t, p.env, timeWait)
		p.advance(half)
		p.expectGone()
	})
	t.Run("RST ends it", func(t *testing.T) {
		p := inTimeWait(t)
		p.send(seg{flags: rst, seq: 2})
		p.expect()
		p.expectGone()
	})
	t.Run("new SYN opens again", func(t *testing.T) {
		p := inTimeWait(t)
		_ = p.host.Close()
		p.send(seg{flags: syn, seq: 100000, wnd: 65535})
		p.await(seg{flags: syn | ack, ack: 100001, wnd: 65535})
		checkState(t, p.env, synRcvd)
	})
	t.Run("old SYN does not", func(t *testing.T) {
		p := inTimeWait(t)
		p.send(seg{flags: syn, seq: 0, wnd: 65535})
		p.expect(pureAck(2, 2))
		checkState(t, p.env, timeWait)
	})
	t.Run("data is not taken", func(t *testing.T) {
		p := inTimeWait(t)
		p.send(seg{flags: ack, seq: 2, ack: 2, wnd: 65535, data: "late"})
		p.expect()
		checkState(t, p.env, timeWait)
	})
}

func TestInboundTakesOverTimeWait(t *testing.T) {
	e := newEnv(t, setup{})
	a := e.listen(guestPort)
	c := dial(t, a)
	p := e.newPeer(portOf(c.LocalAddr()))
	p.host = c
	p.await(seg{flags: syn, wnd: 65535})
	_, old := e.live()
	old.state = timeWait // as if an earlier connection had ended there
	key := *e.h.table.Key(0)
	if !e.h.freeKey(&key) {
		t.Error("a connection in TIME-WAIT is in the way of a new one")
	}
	e.expectGone()
}

func TestDataAfterFinIsIgnored(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: fin | ack, seq: 1, ack: 1, wnd: 65535})
	p.expect(pureAck(1, 2))
	p.send(seg{flags: ack | psh, seq: 2, ack: 1, wnd: 65535, data: "more"})
	p.hostGetsEnd(io.EOF)
	checkState(t, p.env, closeWait)
}

func TestHostResetReachesGuest(t *testing.T) {
	for _, tt := range []struct {
		name string
		prep func(p *peer)
		want []seg
	}{
		{"established", func(*peer) {}, []seg{{flags: rst | ack, seq: 1, ack: 1}}},
		{"guest has closed", func(p *peer) {
			p.send(seg{flags: fin | ack, seq: 1, ack: 1, wnd: 65535})
			p.expect(pureAck(1, 2))
		}, []seg{{flags: rst | ack, seq: 1, ack: 2}}},
		{"host has closed, guest has not answered", func(p *peer) {
			_ = p.host.CloseWrite()
			p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
		}, []seg{{flags: rst | ack, seq: 2, ack: 1}}},
		{"host has closed", func(p *peer) {
			_ = p.host.CloseWrite()
			p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
			p.send(seg{flags: ack, seq: 1, ack: 2, wnd: 65535})
		}, []seg{{flags: rst | ack, seq: 2, ack: 1}}},
		{"guest's window is closed", func(p *peer) {
			p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 0})
		}, []seg{{flags: rst | ack, seq: 1, ack: 1}}},
	} {
		for _, skip := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				p := newEnv(t, setup{opts: Options{noPeekOff: skip}}).outbound()
				tt.prep(p)
				p.hostResets()
				p.await(tt.want...)
				p.expectGone()
			})
		}
	}
}

func TestHostResetBeforeGuestAnswers(t *testing.T) {
	p := newEnv(t, setup{}).called()
	p.hostResets()
	p.await(seg{flags: rst, seq: 1})
	p.expectGone()
}

func TestDataComesBeforeReset(t *testing.T) {
	for _, skip := range []bool{false, true} {
		p := newEnv(t, setup{opts: Options{noPeekOff: skip}}).outbound()
		p.hostSends("first")
		p.await(data(1, 1, "first"))
		p.hostSends("last words")
		p.hostResets()
		p.await(data(6, 1, "last words"), seg{flags: rst | ack, seq: 16, ack: 1})
		p.expectGone()
	}
}

func TestGuestResetReachesHost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		seq   int
		want  []seg
		reset bool
	}{
		{"expected number", 1, nil, true},
		{"in the window", 100, []seg{pureAck(1, 1)}, false},
		{"before the window", 0, nil, false},
		{"beyond the window", 1 << 20, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).outbound()
			p.send(seg{flags: rst, seq: tt.seq})
			p.expect(tt.want...)
			if tt.reset {
				p.hostGetsEnd(syscall.ECONNRESET)
				p.expectGone()
				return
			}
			checkState(t, p.env, established)
		})
	}
}

func TestDataBeforeGuestResetIsWritten(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(
		seg{flags: ack | psh, seq: 1, ack: 1, wnd: 65535, data: "bye"},
		seg{flags: rst | ack, seq: 4, ack: 1},
	)
	p.expectGone()
	if got := p.h.Stats.ResetByGuest; got != 1 {
		t.Errorf("%d resets by the guest counted, want 1", got)
	}
}

func TestWriteToClosedHostResetsGuest(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_ = p.host.Close()
	p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
	p.send(seg{flags: ack | psh, seq: 1, ack: 2, wnd: 65535, data: "anyone?"})
	p.until("end of the connection", func() bool { return p.h.Len() == 0 })
	got := p.got()
	if last := got[len(got)-1]; last.flags&rst == 0 || last.seq != 2 {
		t.Errorf("last segment %+v, want RST at 2", last)
	}
}

func TestFinIsSentAgain(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_ = p.host.CloseWrite()
	want := seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd}
	p.await(want)
	_, c := p.live()
	p.advance(time.Duration(c.rtxAt - p.Now))
	p.expect(want)
	p.send(seg{flags: ack, seq: 1, ack: 2, wnd: 65535})
	checkState(t, p.env, finWait2)
	p.expect()
}

func TestFinFollowsDataThatIsSentAgain(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.hostSends("abc")
	p.await(data(1, 1, "abc"))
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 4, ack: 1, wnd: anyWnd})
	_, c := p.live()
	p.advance(time.Duration(c.rtxAt - p.Now))
	p.expect(data(1, 1, "abc"), seg{flags: fin | ack, seq: 4, ack: 1, wnd: anyWnd})
}

func TestFinWaitsForMissingData(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: fin | ack, seq: 5, ack: 1, wnd: 65535}) // 4 bytes are missing
	p.expect(pureAck(1, 1))
	checkState(t, p.env, established)
	p.send(seg{flags: fin | ack | psh, seq: 1, ack: 1, wnd: 65535, data: "four"})
	p.hostGets("four")
	p.expect(pureAck(1, 6))
	checkState(t, p.env, closeWait)
}

func TestHandlerCloseResetsAll(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.h.Close()
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

// A host that does not read: the guest's data and FIN are acknowledged, then held
// until the host reads again.
func TestCloseWithHeldData(t *testing.T) {
	p := slowHost(t, setup{})
	all := p.fill(t)
	p.send(seg{flags: fin | ack, seq: 1 + len(all), ack: 1, wnd: 65535})
	p.expect(pureAck(1, 2+len(all)))
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 1, ack: 2 + len(all), wnd: anyWnd})
	p.send(seg{flags: ack, seq: 2 + len(all), ack: 2, wnd: 65535})
	checkState(t, p.env, timeWait)
	p.advance(3 * time.Duration(timeWaitFor))
	checkState(t, p.env, timeWait)
	p.hostReads(all)
	p.until("end of the held data", func() bool { return p.h.pool.left == len(p.h.pool.meta) })
	p.hostGetsEnd(io.EOF)
	p.advance(time.Duration(keepInterval))
	p.expectGone()
}

// slowHost is an outbound connection whose other end has a small receive buffer
// and does not read.
func slowHost(t *testing.T, s setup) *peer {
	t.Helper()
	e := newEnv(t, s)
	p := e.outboundTo(hostListener(t, "127.0.0.1", 4096))
	_, c := e.live()
	shrinkSendBuffer(t, c)
	return p
}

// shrinkSendBuffer has the host socket of c take little.
func shrinkSendBuffer(t *testing.T, c *conn) {
	t.Helper()
	if err := syscall.SetsockoptInt(c.fd32(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16384); err != nil {
		t.Fatal(err)
	}
}

// fill has the guest send, within the window it is given, until something is held
// and nothing further may be sent. It returns all that was acknowledged.
func (p *peer) fill(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for n := 0; ; n++ {
		_, c := p.live()
		room := int(c.rcvAdv - c.rcvNxt)
		if room == 0 && c.held > 0 {
			return all.String()
		}
		if n > 10000 {
			t.Fatalf("window %d with %d bytes held after %d bytes", room, c.held, all.Len())
		}
		b := pattern(all.Len(), min(room, 1000))
		p.send(seg{flags: ack, seq: 1 + all.Len(), ack: 1, wnd: 65535, data: b})
		all.WriteString(b)
		p.got()
		if _, c := p.live(); int(c.lastAck-p.iss)-1 != all.Len() {
			t.Fatalf("%d bytes acknowledged of %d within the window", int(c.lastAck-p.iss)-1, all.Len())
		}
	}
}

// pattern gives n bytes of an endless stream from offset off on.
func pattern(off, n int) string {
	b := make([]byte, n)
	for i := range b {
		v := uint32(off+i) * 2654435761
		b[i] = byte(v >> 24)
	}
	return string(b)
}

// hostReads reads want on the host while the handler runs.
func (p *peer) hostReads(want string) {
	p.T.Helper()
	for off := 0; off < len(want); {
		_ = p.host.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 32<<10)
		n, err := p.host.Read(b)
		if err != nil || off+n > len(want) || string(b[:n]) != want[off:off+n] {
			p.T.Fatalf("host read %d bytes at %d, error %v; they differ from what was sent", n, off, err)
		}
		off += n
		p.turn(0)
	}
}

// An error of the host socket that is seen in the turn in which that is closed is
// no reason to skip TIME-WAIT.
func TestHostErrorWithLastFin(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 1, ack: 1, wnd: anyWnd})
	p.send(seg{flags: ack, seq: 1, ack: 2, wnd: 65535})
	_, c := p.live()
	c.note(loop.Err)
	p.send(seg{flags: fin | ack, seq: 1, ack: 2, wnd: 65535})
	p.expect(pureAck(2, 2))
	checkState(t, p.env, timeWait)
}

func TestEndOfTheRunDeliversWhatTheGuestFinished(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: fin | ack | psh, seq: 1, ack: 1, wnd: 65535, data: "last words"})
	p.expect(pureAck(1, 12))
	p.h.Close()
	p.hostGets("last words")
	p.hostGetsEnd(io.EOF)
}
