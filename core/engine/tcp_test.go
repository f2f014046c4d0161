package engine

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/tap"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// scriptedGuest is the guest's end of one TCP connection.
type scriptedGuest struct {
	*fixture
	guest, peer netip.AddrPort
	next, seq   seqnum.Value // RCV.NXT, SND.NXT
	got         []byte       // stream received
	flags       uint8        // all flags received
}

func (g *scriptedGuest) send(flags uint8, payload []byte) {
	g.t.Helper()
	g.receive(g.segment(flags, payload))
}

// segment builds the frame of the next segment.
func (g *scriptedGuest) segment(flags uint8, payload []byte) []byte {
	h := packet.TCPHeader{Seq: g.seq, Ack: g.next, Flags: flags, Window: 65535, WScale: -1}
	if flags&packet.SYN != 0 {
		h.MSS = 1460
	}
	if flags&(packet.SYN|packet.FIN) != 0 {
		g.seq++
	}
	g.seq += seqnum.Value(len(payload))
	return coretest.TCP(g.guest, g.peer, h, payload)
}

// take handles what we were sent; it acknowledges what is new.
func (g *scriptedGuest) take() {
	g.t.Helper()
	before := g.next
	for _, f := range g.dev.Take(g.t) {
		s := f.TCP(g.t)
		g.flags |= s.Flags()
		if s.Flags()&packet.SYN != 0 {
			g.next, before = s.Seq()+1, s.Seq()
		}
		if s.Seq() == g.next {
			g.got = append(g.got, s.Payload()...)
			g.next += seqnum.Value(len(s.Payload()))
			if s.Flags()&packet.FIN != 0 {
				g.next++
			}
		}
	}
	if g.next != before {
		g.send(packet.ACK, nil)
	}
}

// wait turns the loop until the guest has received flags and so many bytes.
func (g *scriptedGuest) wait(what string, flags uint8, n int) {
	g.t.Helper()
	g.until(what, func() bool {
		g.take()
		return g.flags&flags == flags && len(g.got) >= n
	})
}

// echoServer accepts one connection, and sends back all it reads until the end.
func echoServer(t *testing.T, a netip.Addr) (port uint16, done <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		_, err = io.Copy(c, c)
		_ = c.Close()
		ended <- err
	}()
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), ended
}

// TestTCPEndToEnd: handshake, data in both directions and close, between a
// scripted guest and a server on the host.
func TestTCPEndToEnd(t *testing.T) {
	for _, fam := range coretest.Families {
		for _, feat := range []tap.Features{{}, coretest.AllFeatures} {
			t.Run(fam.Name, func(t *testing.T) {
				port, done := echoServer(t, fam.Loopback)
				g := &scriptedGuest{
					fixture: newFixture(t, testConfig(), feat), seq: 1000,
					guest: netip.AddrPortFrom(fam.Guest, 4000), peer: netip.AddrPortFrom(fam.Gateway, port),
				}
				g.send(packet.SYN, nil)
				g.wait("SYN-ACK", packet.SYN|packet.ACK, 0)
				want := bytes.Repeat([]byte("0123456789"), 2000)
				for rest := want; len(rest) > 0; rest = rest[1000:] {
					g.send(packet.ACK|packet.PSH, rest[:1000])
				}
				g.wait("echo", packet.ACK, len(want))
				g.send(packet.FIN|packet.ACK, nil)
				g.wait("FIN", packet.FIN, len(want))
				if err := <-done; err != nil {
					t.Errorf("server: %v", err)
				}
				if !bytes.Equal(g.got, want) || g.flags&packet.RST != 0 {
					t.Errorf("%d bytes came back, flags %#x, want the %d sent and no reset", len(g.got), g.flags, len(want))
				}
				if len(g.drops()) != 0 {
					t.Errorf("drops %v, want none", g.drops())
				}
			})
		}
	}
}

// TestRefusedConnectionIsReset: nothing listens on the port.
func TestRefusedConnectionIsReset(t *testing.T) {
	for _, fam := range coretest.Families {
		l, err := net.Listen("tcp", netip.AddrPortFrom(fam.Loopback, 0).String())
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).AddrPort().Port()
		_ = l.Close()
		g := &scriptedGuest{
			fixture: newFixture(t, testConfig(), coretest.AllFeatures), seq: 1000,
			guest: netip.AddrPortFrom(fam.Guest, 4000), peer: netip.AddrPortFrom(fam.Gateway, port),
		}
		g.send(packet.SYN, nil)
		g.wait("reset", packet.RST|packet.ACK, 0)
		if g.tcp.Len() != 0 {
			t.Errorf("%s: %d connections left", fam.Name, g.tcp.Len())
		}
	}
}
