package udp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
)

// stream is one flow with its host-side peer, set up for counting.
type stream struct {
	*env
	peer  *net.UDPConn
	frame []byte // from the guest
	guest netip.AddrPort
}

func newStream(t testing.TB, size int) *stream {
	t.Helper()
	e := newEnv(t, coretest.AllFeatures)
	s := &stream{env: e, peer: hostSocket(t, "127.0.0.1")}
	src, dst := netip.AddrPortFrom(guest4, 40030), netip.AddrPortFrom(gateway4, addrOf(s.peer).Port())
	s.frame = coretest.UDP(src, dst, make([]byte, size))
	for range 64 { // so that the receive slots exist
		s.Dev.Inject(s.frame)
	}
	s.deliver()
	_, s.guest = receive(t, s.peer)
	s.drain()
	return s
}

// drain empties the peer's queue.
func (s *stream) drain() {
	var b [1 << 16]byte
	for {
		_ = s.peer.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, _, err := s.peer.ReadFromUDPAddrPort(b[:]); err != nil {
			return
		}
	}
}

// replies has the peer send count datagrams to the guest.
func (s *stream) replies(count int, payload []byte) {
	for range count {
		if _, err := s.peer.WriteToUDPAddrPort(payload, s.guest); err != nil {
			s.T.Fatal(err)
		}
	}
}

func TestOutboundAllocatesNothing(t *testing.T) {
	s := newStream(t, 1000)
	before := s.h.Stats.ToHost
	if n := testing.AllocsPerRun(50, func() {
		for range 16 {
			s.Dev.Inject(s.frame)
		}
		s.deliver()
	}); n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
	if sent := s.h.Stats.ToHost - before; sent < 50*16 {
		t.Errorf("%d datagrams sent, want all", sent)
	}
}

func TestInboundAllocatesNothing(t *testing.T) {
	s := newStream(t, 1000)
	payload := make([]byte, 1000)
	s.replies(40, payload)
	s.guestGets(40)
	before := s.h.Stats.ToGuest
	if n := testing.AllocsPerRun(50, func() {
		s.replies(10, payload)
		s.turn()
		s.Dev.Discard()
	}); n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
	if got := s.h.Stats.ToGuest - before; got < 50*10 {
		t.Errorf("%d datagrams delivered, want all", got)
	}
}

func TestListenerAllocatesNothing(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	addr := e.listen("127.0.0.1", netip.Addr{}, 53)
	client := hostSocket(t, "127.0.0.1")
	reply := coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, addrOf(client).Port()), []byte("answer"))
	query, buf := []byte("query"), make([]byte, 100)
	round := func() {
		send(t, client, addr, query)
		e.turn()
		e.Dev.Discard()
		e.Dev.Inject(reply)
		e.deliver()
		_, _, _ = client.ReadFromUDPAddrPort(buf)
	}
	round()
	if n := testing.AllocsPerRun(50, round); n != 0 {
		t.Errorf("%v allocations per query, want 0", n)
	}
	if e.h.Stats.ToHost < 50 || e.h.Stats.ToGuest < 50 {
		t.Errorf("%d queries and %d answers, want 50", e.h.Stats.ToGuest, e.h.Stats.ToHost)
	}
}

// BenchmarkOutbound is the cost per datagram of 1400 bytes from the guest, the
// host's part of it included.
func BenchmarkOutbound(b *testing.B) {
	s := newStream(b, 1400)
	b.ReportAllocs()
	b.SetBytes(1400)
	for i := 0; i < b.N; i += 32 {
		for range 32 {
			s.Dev.Inject(s.frame)
		}
		s.deliver()
	}
	b.ReportMetric(float64(s.h.Stats.Sends)/float64(s.h.Stats.ToHost), "sends/datagram")
}

// BenchmarkInbound is the cost per datagram of 1400 bytes to the guest. The peer's
// part is not counted.
func BenchmarkInbound(b *testing.B) {
	s := newStream(b, 1400)
	payload := make([]byte, 1400)
	b.ReportAllocs()
	b.SetBytes(1400)
	for i := 0; i < b.N; i += 64 {
		b.StopTimer()
		s.replies(64, payload)
		b.StartTimer()
		s.turn()
		s.Dev.Discard()
	}
	b.ReportMetric(float64(s.h.Stats.Receives+s.h.Stats.Frames)/float64(s.h.Stats.ToGuest), "calls/datagram")
}
