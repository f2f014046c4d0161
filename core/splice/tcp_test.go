package splice

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

func TestCarriesBothWays(t *testing.T) {
	for _, addr := range loopbacks {
		for _, pif := range []fwd.Pif{fwd.Host, fwd.Splice} {
			e := newEnv(t, Options{})
			client, server := e.pair(pif, addr)
			client.write([]byte("question"))
			e.wantRead(server, "question")
			server.write([]byte("answer"))
			e.wantRead(client, "answer")
			client.write([]byte("again"))
			e.wantRead(server, "again")
			sys.Close(client.fd)
			e.wantEnd(server, 0)
			sys.Close(server.fd)
			e.wantGone()
		}
	}
}

// stream writes what gen gives to from and reads it at to, as fast as the handler
// takes it.
func (e *env) stream(from, to peer, total int) {
	e.t.Helper()
	gen, in, out := rand.NewChaCha8([32]byte{7}), sha256.New(), sha256.New()
	chunk, buf := make([]byte, 200_000), make([]byte, 300_000)
	pending, sent, received := []byte(nil), 0, 0
	e.until("transferred", func() bool {
		if len(pending) == 0 && sent < total {
			_, _ = gen.Read(chunk)
			pending = chunk[:min(len(chunk), total-sent)]
			in.Write(pending)
			sent += len(pending)
		}
		pending = pending[from.write(pending):]
		n, _ := to.read(buf)
		out.Write(buf[:n])
		received += n
		return received >= total
	})
	if received != total || !bytes.Equal(in.Sum(nil), out.Sum(nil)) {
		e.t.Errorf("%d bytes arrived, want %d with the same checksum", received, total)
	}
}

func TestLargeTransfer(t *testing.T) {
	const total = 50 << 20
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	e.stream(client, server, total)
	e.stream(server, client, total)
	if e.h.Stats.Bytes != 2*total {
		t.Errorf("counted %d bytes, want %d", e.h.Stats.Bytes, 2*total)
	}
	sys.Close(client.fd)
	sys.Close(server.fd)
	e.wantGone()
}

// TestHalfClose: each side may end its direction while the other goes on.
func TestHalfClose(t *testing.T) {
	for _, tt := range []struct {
		name        string
		clientFirst bool
	}{{"client first", true}, {"server first", false}} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, Options{})
			first, second := e.pair(fwd.Host, "127.0.0.1")
			if !tt.clientFirst {
				first, second = second, first
			}
			first.write([]byte("all"))
			first.shutdown()
			e.wantRead(second, "all")
			e.wantEnd(second, 0)
			for range 3 {
				second.write([]byte("more"))
				e.wantRead(first, "more")
			}
			second.shutdown()
			e.wantEnd(first, 0)
			e.wantGone()
			if e.h.Stats.Reset != 0 {
				t.Errorf("%d connections reset, want none", e.h.Stats.Reset)
			}
			sys.Close(first.fd)
			sys.Close(second.fd)
		})
	}
}

// TestEndComesAfterTheData: a FIN right behind data must not overtake it, nor be lost.
func TestEndComesAfterTheData(t *testing.T) {
	e := newEnv(t, Options{})
	for range 50 {
		client, server := e.pair(fwd.Host, "127.0.0.1")
		client.write([]byte("x"))
		sys.Close(client.fd)
		e.wantRead(server, "x")
		e.wantEnd(server, 0)
		sys.Close(server.fd)
	}
	e.wantGone()
}

func TestDataBeforeTheConnectionIsUp(t *testing.T) {
	e := newEnv(t, Options{})
	l, at := listen(t, "127.0.0.1")
	defer sys.Close(l)
	client := e.client(fwd.Host, at)
	client.write([]byte("early"))
	client.shutdown()
	e.quiet()
	server := peer{t, accept(t, l)}
	e.wantRead(server, "early")
	e.wantEnd(server, 0)
	sys.Close(server.fd)
	sys.Close(client.fd)
	e.wantGone()
}

func TestRefusedTargetResetsClient(t *testing.T) {
	for _, addr := range loopbacks {
		e := newEnv(t, Options{})
		l, at := listen(t, addr)
		sys.Close(l)
		client := e.client(fwd.Host, at)
		e.wantEnd(client, syscall.ECONNRESET)
		e.wantGone()
		sys.Close(client.fd)
	}
}

// TestResetPassesOn: a RST at one end becomes a RST at the other, after the data that
// came before it.
func TestResetPassesOn(t *testing.T) {
	for _, name := range []string{"by client", "by server"} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, Options{})
			bad, good := e.pair(fwd.Host, "127.0.0.1")
			if name == "by server" {
				bad, good = good, bad
			}
			bad.write([]byte("last words"))
			bad.reset()
			e.wantRead(good, "last words")
			e.wantEnd(good, syscall.ECONNRESET)
			sys.Close(good.fd)
			e.wantGone()
			if e.h.Stats.Reset != 1 {
				t.Errorf("%d connections reset, want 1", e.h.Stats.Reset)
			}
		})
	}
}

// TestResetAfterHalfClose: the end of one direction does not hide an error.
func TestResetAfterHalfClose(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	client.shutdown()
	e.wantEnd(server, 0)
	client.reset()
	e.wantGone()
	if n := server.writeErrno([]byte("x")); n != syscall.ECONNRESET && n != syscall.EPIPE {
		t.Errorf("the server's write gives %v, want ECONNRESET or EPIPE", n)
	}
	sys.Close(server.fd)
}

func (p peer) writeErrno(b []byte) syscall.Errno {
	_, errno := sys.Send(p.fd, b, sys.MsgNosignal|sys.MsgDontwait)
	return errno
}

// TestAnswerBeforeReset: what a server says before it closes on a client that still
// sends reaches that client.
func TestAnswerBeforeReset(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	client.write(make([]byte, 100_000))
	e.quiet()
	server.write([]byte("too large"))
	sys.Close(server.fd) // with unread data: RST
	e.wantRead(client, "too large")
	e.wantEnd(client, syscall.ECONNRESET)
	sys.Close(client.fd)
	e.wantGone()
}

func TestUrgentDataStaysInTheStream(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	for range 3 {
		client.write([]byte("before"))
		if _, errno := sys.Send(client.fd, []byte("!"), syscall.MSG_OOB|sys.MsgDontwait); errno != 0 {
			t.Fatal(errno)
		}
		client.write([]byte("after"))
		e.wantRead(server, "before!after")
	}
	client.shutdown()
	e.wantEnd(server, 0)
	server.shutdown()
	e.wantGone()
	sys.Close(client.fd)
	sys.Close(server.fd)
}

func TestTableFull(t *testing.T) {
	e := newEnv(t, Options{MaxFlows: 2})
	l, at := listen(t, "127.0.0.1")
	defer sys.Close(l)
	first, second := e.client(fwd.Host, at), e.client(fwd.Host, at)
	third := e.client(fwd.Host, at)
	e.wantEnd(third, syscall.ECONNRESET)
	if e.h.Stats.Refused != 1 || e.h.Len() != 2 {
		t.Errorf("%d refused, %d open, want 1 and 2", e.h.Stats.Refused, e.h.Len())
	}
	first.reset()
	second.reset()
	e.wantGone()
	sys.Close(third.fd)
}

// TestStaleEvents: events of an earlier user of a slot do nothing.
func TestStaleEvents(t *testing.T) {
	e := newEnv(t, Options{})
	client, server := e.pair(fwd.Host, "127.0.0.1")
	gen := e.h.conns[0].gen
	e.h.FromSock(0, gen-1, ^uint32(0), 0)
	client.write([]byte("x"))
	e.wantRead(server, "x")
	client.reset()
	sys.Close(server.fd)
	e.wantGone()
	e.h.FromSock(0, gen, ^uint32(0), 0)
	e.h.FromSock(1, gen, ^uint32(0), 0)
	e.wantGone()
}

// TestNoLeak: descriptors are what they were after many connections that ended in
// every way.
func TestNoLeak(t *testing.T) {
	closing := func(p peer) { sys.Close(p.fd) }
	ways := [][2]func(peer){{closing, closing}, {peer.reset, closing}, {closing, peer.reset}}
	e := newEnv(t, Options{})
	l, at := listen(t, "127.0.0.1")
	defer sys.Close(l)
	before := descriptors(t)
	for n := range 300 {
		first := e.client(fwd.Host, at)
		e.quiet()
		second := peer{t, accept(t, l)}
		first.write([]byte("x"))
		e.wantRead(second, "x")
		if n%2 == 0 {
			first, second = second, first
		}
		way := ways[n%len(ways)]
		way[0](first)
		e.quiet()
		way[1](second)
	}
	e.wantGone()
	e.h.pipes.close()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

// TestClientIsShown: the target sees the address and the port that it is to see, or
// another port if that is taken, or whatever else where the address is not allowed.
func TestClientIsShown(t *testing.T) {
	taken, at := listen(t, "127.0.0.9")
	defer sys.Close(taken)
	freed, other := listen(t, "127.0.0.9")
	sys.Close(freed)
	tests := []struct {
		name, client string
		port         uint16
		want         string
		samePort     bool
	}{
		{"free port", "127.0.0.9", other.Port(), "127.0.0.9", true},
		{"taken port", "127.0.0.9", at.Port(), "127.0.0.9", false},
		{"foreign address", "192.0.2.1", other.Port(), "127.0.0.1", false},
		{"other family", "2001:db8::1", other.Port(), "127.0.0.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, Options{})
			server, to := listen(t, "127.0.0.1")
			defer sys.Close(server)
			gate, entry := listen(t, "127.0.0.1")
			defer sys.Close(gate)
			client := connectedTo(t, entry, syscall.SOCK_STREAM)
			defer sys.Close(client.fd)
			e.h.Open(accept(t, gate), fwd.Target{
				Pif: fwd.Splice, Addr: packet.Addr(to.Addr().As16()), Port: to.Port(),
				Client: packet.AddrFrom(netip.MustParseAddr(tt.client)), ClientPort: tt.port,
			}, e.now())
			e.quiet()
			var from sys.SockAddr
			fd, errno := sys.Accept(server, &from)
			if errno != 0 {
				t.Fatal(errno)
			}
			defer sys.Close(fd)
			got := from.Netip()
			if got.Addr().String() != tt.want || (got.Port() == tt.port) != tt.samePort {
				t.Errorf("the target sees %v, want %s, port %d: %v", got, tt.want, tt.port, tt.samePort)
			}
		})
	}
}
