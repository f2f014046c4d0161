package splice

import (
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
)

func TestCarryingDoesNotAllocate(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	out, in := make([]byte, 100_000), make([]byte, 100_000)
	exchange := func() {
		for got, sent := 0, 0; got < len(out); {
			sent += client.write(out[sent:])
			e.turn()
			n, _ := server.read(in)
			got += n
		}
		server.write(out[:1])
		for n := 0; n == 0; {
			e.turn()
			n, _ = client.read(in)
		}
	}
	exchange()
	if n := testing.AllocsPerRun(100, exchange); n != 0 {
		t.Errorf("%v allocations per exchange, want none", n)
	}
	sys.Close(client.fd)
	sys.Close(server.fd)
	e.wantGone()
}

// TestOpeningDoesNotAllocate covers a connection from beginning to end.
func TestOpeningDoesNotAllocate(t *testing.T) {
	e := newEnv(t, Options{})
	l, at := listen(t, "127.0.0.1")
	defer sys.Close(l)
	front, here := listen(t, "127.0.0.1")
	defer sys.Close(front)
	to := sys.MakeSockAddr(here.Addr().As16(), here.Port(), 0)
	target := fwd.Target{Pif: fwd.Host, Addr: at.Addr().As16(), Port: at.Port()}
	var from sys.SockAddr
	life := func() {
		fd, _ := sys.Socket(2, 1, 0)
		_ = sys.Connect(fd, &to)
		half, _ := sys.Accept(front, &from)
		e.h.Open(half, target, e.now())
		_, _ = sys.Send(fd, []byte("x"), sys.MsgNosignal)
		e.turn()
		e.turn()
		server, _ := sys.Accept(l, &from)
		sys.Close(fd)
		sys.Close(server)
		for e.h.Len() > 0 {
			e.turn()
		}
	}
	life()
	if n := testing.AllocsPerRun(50, life); n != 0 {
		t.Errorf("%v allocations per connection, want none", n)
	}
}

// BenchmarkCarry moves 256 KiB from one socket to the other.
func BenchmarkCarry(b *testing.B) {
	e := newEnv(b, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	out, in := make([]byte, 256<<10), make([]byte, 256<<10)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	for b.Loop() {
		for got, sent := 0, 0; got < len(out); {
			sent += client.write(out[sent:])
			e.turn()
			n, _ := server.read(in)
			got += n
		}
	}
	sys.Close(client.fd)
	sys.Close(server.fd)
}

// BenchmarkRoundTrip moves one byte there and back.
func BenchmarkRoundTrip(b *testing.B) {
	e := newEnv(b, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	var one [1]byte
	step := func(from, to peer) {
		from.write(one[:])
		for n := 0; n == 0; {
			e.turn()
			n, _ = to.read(one[:])
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		step(client, server)
		step(server, client)
	}
	sys.Close(client.fd)
	sys.Close(server.fd)
}
