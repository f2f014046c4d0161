package tcp

import (
	"io"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/loop"
)

func TestGuestClosesFirst(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(seg{flags: fin | ack | psh, seq: 1, ack: 1, wnd: 65535, data: "last"})
	p.expectFinAck(pureAck(1, 6))
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
	p.expectFinAck(pureAck(1, 2))
	p.send(seg{flags: ack | psh, seq: 2, ack: 1, wnd: 65535, data: "more"})
	p.hostGetsEnd(io.EOF)
	checkState(t, p.env, closeWait)
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
	p.expectFinAck(pureAck(1, 6))
	checkState(t, p.env, closeWait)
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
	p.h.Close()
	p.hostGets("last words")
	p.hostGetsEnd(io.EOF)
}
