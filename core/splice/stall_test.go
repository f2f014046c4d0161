package splice

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// fillUp writes to p until neither the handler nor the kernel takes more, and
// returns what was written.
func (e *env) fillUp(p peer) []byte {
	e.t.Helper()
	var sent []byte
	chunk := make([]byte, 60_000)
	for idle := 0; idle < 20; idle++ {
		for i := range chunk {
			chunk[i] = byte(len(sent) + i*7)
		}
		n := p.write(chunk)
		sent = append(sent, chunk[:n]...)
		if n > 0 {
			idle = 0
		}
		e.quiet()
	}
	return sent
}

// TestStalledEndCostsNothing: once everything is full there are no events, no
// deadline and no backlog, and all that was taken arrives when the end reads again.
func TestStalledEndCostsNothing(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	sent := e.fillUp(client)
	e.until("calm", func() bool { return e.h.NextDeadline() == loop.NoDeadline })
	before := e.events
	for range 1000 {
		e.turn()
	}
	if n := e.events - before; n > 2 { // the kernel may still move what it has queued
		t.Errorf("%d events while the server stalls, want none or two", n)
	}
	if e.h.Backlog() || e.h.NextDeadline() != loop.NoDeadline {
		t.Errorf("backlog %v, deadline %d, want neither", e.h.Backlog(), e.h.NextDeadline())
	}
	server.write([]byte("still works"))
	e.wantRead(client, "still works")
	client.shutdown()
	got := make([]byte, 0, len(sent)+1)
	e.until("read all", func() bool {
		n, errno := server.read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		return n == 0 && errno == 0
	})
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes arrived, want the %d that were sent", len(got), len(sent))
	}
	server.shutdown()
	e.wantGone()
	sys.Close(client.fd)
	sys.Close(server.fd)
}

// TestStalledEndResets: a reset is not held up by data that nobody takes.
func TestStalledEndResets(t *testing.T) {
	for _, name := range []string{"source", "destination"} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, Options{})
			client, server := e.pair(fwd.Host, "127.0.0.1")
			e.fillUp(client)
			if name == "source" {
				client.reset()
				e.wantGone()
				sys.Close(server.fd)
			} else {
				server.reset()
				e.wantGone()
				sys.Close(client.fd)
			}
		})
	}
}

// TestShareOfATurn: a connection with much to carry leaves the others their turn.
func TestShareOfATurn(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	client.write(make([]byte, 500_000))
	c := &e.h.conns[0]
	c.dir[0].set(readable)
	e.h.pump(0, c, 0, 1000)
	if !e.h.Backlog() {
		t.Fatal("no backlog after the share was used up")
	}
	e.quiet()
	if e.h.Backlog() {
		t.Error("backlog with nothing to carry")
	}
	client.reset()
	sys.Close(server.fd)
	e.wantGone()
}

// TestStalledConnectionsKeepTheirPipes: each stalled direction has one pipe, an idle
// connection none, and large ones are left for others.
func TestStalledConnectionsKeepTheirPipes(t *testing.T) {
	const stalled = 3
	e := newEnv(t, Options{})
	var ends []peer
	for range stalled {
		client, server := e.pair(fwd.Host, "127.0.0.1")
		e.fillUp(client)
		ends = append(ends, client, server)
	}
	client, server := e.pair(fwd.Host, "127.0.0.1")
	client.write([]byte("x"))
	e.wantRead(server, "x")
	inUse := e.h.pipes.opened - len(e.h.pipes.closed) - len(e.h.pipes.unused)
	if inUse != stalled {
		t.Errorf("%d pipes in use, want %d", inUse, stalled)
	}
	for _, p := range append(ends, client, server) {
		sys.Close(p.fd)
	}
	e.wantGone()
}

// TestWithoutPipes: where descriptors have run out, data waits and is not lost.
func TestWithoutPipes(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	e.h.pipes.close()
	all := e.h.pipes
	e.h.pipes = newPipes(&TCP{}, 0)
	client.write([]byte("patience"))
	e.quiet()
	if e.h.NextDeadline() == loop.NoDeadline || e.h.Backlog() {
		t.Errorf("deadline %d, backlog %v, want to try again later", e.h.NextDeadline(), e.h.Backlog())
	}
	e.h.pipes = all
	e.ahead += pipePause
	e.wantRead(server, "patience")
	sys.Close(client.fd)
	sys.Close(server.fd)
	e.wantGone()
}

func TestWithoutSockets(t *testing.T) {
	e := newEnv(t, Options{})
	e.sockets.left = 1
	l, at := listen(t, "127.0.0.1")
	defer sys.Close(l)
	var clients []peer
	for _, text := range []string{"first", "second", "third"} {
		c := e.client(fwd.Splice, at)
		c.write([]byte(text))
		clients = append(clients, c)
	}
	e.quiet()
	first := peer{t, accept(t, l)}
	e.wantRead(first, "first")
	e.sockets.left = 1
	e.h.Resume(e.now())
	e.quiet()
	second := peer{t, accept(t, l)}
	e.wantRead(second, "second")
	e.ahead += socketWait
	e.turn()
	e.wantEnd(clients[2], syscall.ECONNRESET)
	for _, p := range append(clients, first, second) {
		sys.Close(p.fd)
	}
	e.wantGone()
}
