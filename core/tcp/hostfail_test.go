package tcp

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/loop"
)

// What the remote end said before it reset the connection reaches the guest, even if
// we learn of the reset by a write that fails.
func TestAnswerComesBeforeFailedWrite(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.hostSends("go away")
	p.hostResets()
	p.send(data(1, 1, "request"))
	p.await(data(1, 1, "go away"), seg{flags: rst | ack, seq: 8, ack: 1})
	p.expectGone()
}

// The same for an answer that the guest has no room for yet.
func TestAnswerBeyondWindowComesBeforeReset(t *testing.T) {
	for _, write := range []bool{false, true} {
		p := newEnv(t, setup{}).outbound()
		p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 1000})
		answer := pattern(0, 2500)
		p.hostSends(answer)
		p.await(data(1, 1, answer[:1000]))
		p.hostResets()
		at := 1
		if write {
			p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 1000, data: "more?"})
		}
		p.turn(50 * time.Millisecond)
		p.got()
		p.send(seg{flags: ack, seq: at, ack: 1001, wnd: 1000})
		p.await(data(1001, 1, answer[1000:2000]))
		p.send(seg{flags: ack, seq: at, ack: 2001, wnd: 1000})
		p.await(data(2001, 1, answer[2000:]), seg{flags: rst | ack, seq: 2501, ack: 1})
		p.expectGone()
	}
}

// fillHost sends from the guest until n bytes are held, and returns how much.
func fillHost(p *peer, c *conn, n uint32) (sent int) {
	p.T.Helper()
	for range 10000 {
		if c.held >= n {
			return sent
		}
		part := pattern(sent, 8000)
		p.send(seg{flags: ack, seq: 1 + sent, ack: 1, wnd: 65535, data: part})
		sent = int(c.rcvNxt-p.iss) - 1
		p.got()
	}
	p.T.Fatalf("%d bytes held after %d", c.held, sent)
	return 0
}

// Room in the send buffer of which the kernel says that it cannot be had, for lack of
// memory, is asked for by timer: the event would come again at once.
func TestNoSpinForKernelMemory(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	i, c := p.live()
	shrinkSendBuffer(t, c)
	sent := fillHost(p, c, 1)
	for range 3 { // as if there were room
		p.h.FromSock(i, p.h.table.Gen(i), loop.Out, p.Now)
		if c.outAt != p.Now+outRetry || !c.has(wantOut) {
			t.Fatalf("next try at %d, waiting %v", c.outAt-p.Now, c.has(wantOut))
		}
		p.advance(2 * time.Millisecond)
	}
	p.advance(time.Second)
	p.hostReads(pattern(0, sent))
	if c.held != 0 {
		t.Errorf("%d bytes held", c.held)
	}
}

// A small window is watched, whatever kind of segment carried it.
func TestSmallWindowOnDataIsWatched(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_, c := p.live()
	p.hostSends("hello")
	p.await(data(1, 1, "hello"))
	c.set(interactive)
	p.send(data(1, 6, "request"))
	p.expect() // the acknowledgment waits
	c.rcvAdv, c.granted = c.rcvNxt+10, 0
	p.hostSends("answer")
	p.await(seg{flags: ack | psh, seq: 6, ack: 8, wnd: 1, data: "answer"})
	if !c.has(wantOut) {
		t.Error("nobody watches for room")
	}
}

// A remote end with a tiny window makes the kernel's overhead grow beyond what
// windows reserve. That is learnt once, and reserved from then on.
func TestOverheadIsLearnt(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_, c := p.live()
	before := p.h.windowFor(0, c)
	shrinkSendBuffer(t, c)
	fillHost(p, c, overcommit+1)
	if !c.has(heavy) || c.overheadShift() != 1 {
		t.Fatalf("after %d bytes held beyond the window of %d nothing was learnt", c.held, before)
	}
}

// Writes that fail for good take nothing of what comes later, and cost no system
// call.
func TestNothingIsTakenAfterFailedWrite(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	_, c := p.live()
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 10})
	p.hostSends(strings.Repeat("x", 20))
	p.await(data(1, 1, strings.Repeat("x", 10)))
	if err := syscall.Shutdown(c.fd32(), syscall.SHUT_WR); err != nil { // writes give EPIPE
		t.Fatal(err)
	}
	for range 3 {
		p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 10, data: "lost"})
		if c.rcvNxt != p.iss+1 || c.held != 0 {
			t.Fatalf("%d bytes accepted, %d held", c.rcvNxt-p.iss-1, c.held)
		}
	}
}
