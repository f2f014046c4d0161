package splice

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// bulk carries enough for the wake-ups of the client's data to be merged.
func (e *env) bulk(client, server peer) {
	e.t.Helper()
	buf := make([]byte, 4*bulkBytes)
	for left := client.write(buf); left > 0; {
		e.turn()
		n, _ := server.read(buf)
		left -= n
	}
}

func TestBulkMergesWakeUps(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	client.write([]byte("small"))
	e.wantRead(server, "small")
	if e.h.NextDeadline() != loop.NoDeadline {
		t.Fatal("wake-ups are merged for little data")
	}
	e.bulk(client, server)
	at := e.h.NextDeadline()
	if at > e.now()+mergeDelay {
		t.Fatalf("next deadline %d, want one within %d of %d", at, mergeDelay, e.now())
	}
	if n, errno := sys.GetInt(int(e.h.conns[0].fd[0]), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT); errno != 0 || n < bulkBytes {
		t.Errorf("SO_RCVLOWAT %d (%v), want %d or what the kernel makes of it", n, errno, mergeBytes)
	}
	// What does not suffice for a wake-up is not forgotten.
	client.write([]byte("the rest"))
	e.ahead += 2 * mergeDelay
	e.turn()
	e.ahead += 2 * mergeDelay
	e.wantRead(server, "the rest")
	e.ahead += 2 * mergeDelay
	e.quiet()
	if e.h.NextDeadline() != loop.NoDeadline || len(e.h.merging) != 0 {
		t.Errorf("deadline %d, %d connections listed, want an end of it", e.h.NextDeadline(), len(e.h.merging))
	}
	if n, _ := sys.GetInt(int(e.h.conns[0].fd[0]), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT); n != 1 {
		t.Errorf("SO_RCVLOWAT %d, want 1", n)
	}
	client.write([]byte("soon"))
	e.wantRead(server, "soon")
	client.reset()
	sys.Close(server.fd)
	e.wantGone()
}

// TestEndIsNotMerged: the end of a stream comes through at once.
func TestEndIsNotMerged(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	e.bulk(client, server)
	e.h.mergeAt = loop.NoDeadline
	client.write([]byte("end"))
	client.shutdown()
	e.wantRead(server, "end")
	e.wantEnd(server, 0)
	sys.Close(server.fd)
	e.wantGone()
	sys.Close(client.fd)
	if len(e.h.merging) > 1 {
		t.Errorf("%d connections listed, want at most the one that is gone", len(e.h.merging))
	}
}

// TestFreedSlotLeavesTheList: a connection may end while its wake-ups are merged.
func TestFreedSlotLeavesTheList(t *testing.T) {
	e := newEnv(t, Options{})
	e.h.merging = append(e.h.merging, 0) // of a freed slot
	e.h.endMerging()
	if len(e.h.merging) != 0 || e.h.mergeAt != loop.NoDeadline {
		t.Errorf("%d connections listed until %d, want none", len(e.h.merging), e.h.mergeAt)
	}
}
