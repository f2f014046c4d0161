package splice

import (
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// TestServiceThatComesLate: the client has already said what it wants, and its end.
func TestServiceThatComesLate(t *testing.T) {
	for _, addr := range loopbacks {
		for _, pif := range []fwd.Pif{fwd.Host, fwd.Splice} {
			e := newEnv(t, Options{RetryFor: time.Minute})
			l, at := bound(t, addr, syscall.SOCK_STREAM)
			defer sys.Close(l)
			client := e.client(pif, at)
			client.write([]byte("question"))
			client.shutdown()
			for range 3 {
				e.quiet()
				e.ahead += retryPause
			}
			if n := len(e.h.refused.list); n != 1 {
				t.Fatalf("%d connections wait for a service, want 1", n)
			}
			if errno := sys.Listen(l, 64); errno != 0 {
				t.Fatal(errno)
			}
			e.ahead += retryPause
			e.quiet()
			server := peer{t, accept(t, l)}
			e.wantRead(server, "question")
			server.write([]byte("answer"))
			server.shutdown()
			e.wantRead(client, "answer")
			e.wantEnd(client, 0)
			sys.Close(server.fd)
			sys.Close(client.fd)
			e.wantGone()
			if e.h.NextDeadline() != loop.NoDeadline {
				t.Error("there is a deadline left")
			}
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	e := newEnv(t, Options{RetryFor: 5 * time.Duration(retryPause)})
	l, at := bound(t, "127.0.0.1", syscall.SOCK_STREAM)
	defer sys.Close(l)
	client := e.client(fwd.Splice, at)
	defer sys.Close(client.fd)
	for range 6 {
		e.quiet()
		e.ahead += retryPause
	}
	e.wantEnd(client, syscall.ECONNRESET)
	e.wantGone()
}

// TestClientThatLeaves while its target refuses ends the connection.
func TestClientThatLeaves(t *testing.T) {
	e := newEnv(t, Options{RetryFor: time.Minute})
	l, at := bound(t, "127.0.0.1", syscall.SOCK_STREAM)
	defer sys.Close(l)
	client := e.client(fwd.Splice, at)
	e.quiet()
	client.reset()
	if errno := sys.Listen(l, 64); errno != 0 {
		t.Fatal(errno)
	}
	e.ahead += retryPause
	e.wantGone()
}

// TestRetryWaitsForASocket where there is none at the moment.
func TestRetryWaitsForASocket(t *testing.T) {
	e := newEnv(t, Options{RetryFor: time.Minute})
	e.sockets.left = 1
	l, at := bound(t, "127.0.0.1", syscall.SOCK_STREAM)
	defer sys.Close(l)
	client := e.client(fwd.Splice, at)
	defer sys.Close(client.fd)
	e.quiet()
	if errno := sys.Listen(l, 64); errno != 0 {
		t.Fatal(errno)
	}
	e.ahead += retryPause
	e.quiet()
	if n := len(e.h.waiting); n != 1 {
		t.Fatalf("%d connections wait for a socket, want 1", n)
	}
	e.sockets.left = 1
	e.h.Resume(e.now())
	client.write([]byte("question"))
	e.quiet()
	server := peer{t, accept(t, l)}
	defer sys.Close(server.fd)
	e.wantRead(server, "question")
}
