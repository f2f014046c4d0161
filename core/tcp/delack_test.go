package tcp

import (
	"strings"
	"testing"
	"time"
)

// expectFinAck checks that what acknowledges the guest's FIN comes after a moment, when
// the remote end has not closed too.
func (p *peer) expectFinAck(want seg) {
	p.T.Helper()
	p.expect()
	p.advance(time.Duration(finAckDelay))
	p.expect(want)
}

// halfTurn has the guest send segments without the turn that acknowledges them.
func (p *peer) halfTurn(list ...seg) {
	p.T.Helper()
	for _, s := range list {
		p.inject(s)
	}
	p.fromTap()
	p.h.RunBacklog(p.Now)
	p.h.Flush(p.Now)
}

func (p *peer) nextTurn() {
	p.T.Helper()
	if !p.h.Backlog() {
		p.T.Fatal("the next turn does not come at once")
	}
	p.h.RunBacklog(p.Now)
	p.h.Flush(p.Now)
}

func TestLittleDataIsAcknowledgedInTheNextTurn(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.halfTurn(data(1, 1, "little"))
	p.hostGets("little")
	p.expect()
	p.nextTurn()
	p.expect(pureAck(1, 7))
	if p.h.Backlog() {
		t.Error("a turn too many")
	}
	p.advance(time.Second)
	p.expect()
}

func TestMuchDataIsAcknowledgedAtOnce(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	full := strings.Repeat("x", 1460)
	p.halfTurn(data(1, 1, full), data(1461, 1, full))
	p.expect(pureAck(1, 2921))
}

// What comes in the meantime carries the acknowledgment.
func TestAnswerAcknowledges(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.halfTurn(data(1, 1, "ping"))
	p.hostGets("ping")
	p.hostSends("pong")
	p.await(data(1, 5, "pong"))
	p.advance(time.Duration(ackDelay))
	p.expect()
}

func TestFinIsAcknowledgedWithOurs(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.halfTurn(data(1, 1, "last"))
	p.send(seg{flags: fin | ack, seq: 5, ack: 1, wnd: 65535})
	p.expect()
	p.hostGets("last")
	_ = p.host.Close()
	p.await(seg{flags: fin | ack, seq: 1, ack: 6, wnd: anyWnd})
	checkState(t, p.env, lastAck)
	p.send(seg{flags: ack, seq: 6, ack: 2, wnd: 65535})
	p.expect()
	p.expectGone()
}

// A connection that waits for the next turn to acknowledge may be gone by then, and
// its slot another's.
func TestAcknowledgmentOfAnotherConnection(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.halfTurn(data(1, 1, "x"))
	i, c := p.live()
	key := *p.h.table.Key(i)
	p.h.abort(i, c)
	if j := p.h.insert(&key, -1, established); j != i {
		t.Fatalf("got slot %d, want that of the other, %d", j, i)
	}
	p.h.conns[i].rcvNxt++ // unacknowledged, but not for the next turn
	p.nextTurn()
	p.expect()
}

// The client's first words carry the acknowledgment of the handshake, if they are there.
func TestClientThatSpeaksFirst(t *testing.T) {
	for _, tt := range []struct {
		name  string
		words string
		want  []seg
	}{
		{"at once", "hello", []seg{data(1, 1, "hello")}},
		{"not yet", "", []seg{pureAck(1, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).called()
			if tt.words != "" {
				p.hostSends(tt.words)
			}
			p.send(seg{flags: syn | ack, ack: 1, wnd: 65535})
			p.await(tt.want...)
			p.expect()
		})
	}
}
