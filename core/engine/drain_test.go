package engine

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
)

// connected is a guest with an established connection to a listener of the test.
func connected(t *testing.T) (*scriptedGuest, *net.TCPConn) {
	t.Helper()
	fam := coretest.Families[0]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := &scriptedGuest{
		fixture: newFixture(t, testConfig(), coretest.AllFeatures), seq: 1000,
		guest: netip.AddrPortFrom(fam.Guest, 4000),
		peer:  netip.AddrPortFrom(fam.Gateway, l.Addr().(*net.TCPAddr).AddrPort().Port()),
	}
	g.send(packet.SYN, nil)
	g.wait("SYN-ACK", packet.SYN|packet.ACK, 0)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return g, c.(*net.TCPConn)
}

// runOut turns the engine until it is finished, and tells how long that took.
func (f *fixture) runOut() time.Duration {
	f.t.Helper()
	start := time.Now()
	for !f.finished() {
		if err := f.turn(); err != nil {
			f.t.Fatal(err)
		}
	}
	return time.Since(start)
}

// Without anything under way the end comes at once, open connections or not.
func TestStopWithIdleConnections(t *testing.T) {
	g, _ := connected(t)
	g.send(packet.ACK|packet.PSH, []byte("done long ago"))
	time.Sleep(100 * time.Millisecond) // the silence itself
	g.Stop()
	if d := g.runOut(); d > 200*time.Millisecond {
		t.Errorf("the end took %v", d)
	}
}

// Frames that are in the tap when the end is asked for still count.
func TestStopReadsTheTap(t *testing.T) {
	g, c := connected(t)
	g.Stop()
	h := packet.TCPHeader{Seq: g.seq, Ack: g.next, Flags: packet.ACK | packet.FIN, Window: 65535, WScale: -1}
	g.dev.Inject(coretest.TCP(g.guest, g.peer, h, []byte("last words")))
	g.runOut()
	g.tcp.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "last words" {
		t.Errorf("host got %q, %v", b, err)
	}
}

// A guest whose data does not fit the host's buffers is waited for, but not for ever.
func TestStopIsBounded(t *testing.T) {
	g, _ := connected(t)
	for g.tcp.Stats.Held == 0 {
		g.send(packet.ACK, make([]byte, 32<<10))
		g.dev.Take(t)
	}
	g.Stop()
	if d := g.runOut(); d < time.Duration(drainLimit)/2 || d > 2*time.Duration(drainLimit) {
		t.Errorf("the end took %v, want about %v", d, time.Duration(drainLimit))
	}
}

// Whoever asks twice does not want to wait.
func TestSecondStopEndsAtOnce(t *testing.T) {
	g, _ := connected(t)
	for g.tcp.Stats.Held == 0 {
		g.send(packet.ACK, make([]byte, 32<<10))
		g.dev.Take(t)
	}
	g.Stop()
	g.Stop()
	if d := g.runOut(); d > 200*time.Millisecond {
		t.Errorf("the end took %v", d)
	}
}

// What is started in the place of a run that ends can have its ports, however long
// the connections take.
func TestStopFreesThePorts(t *testing.T) {
	g, _ := connected(t)
	l := bound(t, fwd.TCP)
	if err := g.addListener(l); err != nil {
		t.Fatal(err)
	}
	for g.tcp.Stats.Held == 0 {
		g.send(packet.ACK, make([]byte, 32<<10))
		g.dev.Take(t)
	}
	g.Stop()
	for g.drain.until == 0 {
		if err := g.turn(); err != nil {
			t.Fatal(err)
		}
	}
	if g.finished() {
		t.Fatal("the run has ended, want it to wait for the connection")
	}
	if !free(fwd.TCP, l.Port) {
		t.Errorf("port %d is in use", l.Port)
	}
}
