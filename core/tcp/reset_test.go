package tcp

import (
	"syscall"
	"testing"
)

func TestHostResetReachesGuest(t *testing.T) {
	for _, tt := range []struct {
		name string
		prep func(p *peer)
		want []seg
	}{
		{"established", func(*peer) {}, []seg{{flags: rst | ack, seq: 1, ack: 1}}},
		{"guest has closed", func(p *peer) {
			p.send(seg{flags: fin | ack, seq: 1, ack: 1, wnd: 65535})
			p.expectFinAck(pureAck(1, 2))
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

func TestHandlerCloseResetsAll(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.h.Close()
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}
