package engine

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// TestNoAllocationPerDatagram: a datagram to the host and its answer make no garbage.
func TestNoAllocationPerDatagram(t *testing.T) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) {
			h := newHost(t)
			f := newFixture(t, testConfig(), coretest.AllFeatures)
			guest, peer := netip.AddrPortFrom(fam.Guest, 4000), netip.AddrPortFrom(fam.Gateway, h.port)
			frame := coretest.UDP(guest, peer, []byte("ping"))
			answers := 0
			exchange := func() {
				f.dev.Inject(frame)
				_ = f.turn()
				h.serve()
				_ = f.turn()
				answers += f.dev.Sent()
				f.dev.Discard()
			}
			exchange()
			if n := testing.AllocsPerRun(100, exchange); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
			if answers != 102 { // AllocsPerRun runs once more, to warm up
				t.Errorf("%d answers, want 102", answers)
			}
		})
	}
}

// greeted is a guest with a connection to h.
func greeted(t *testing.T, fam coretest.Family, h *host) *scriptedGuest {
	t.Helper()
	g := &scriptedGuest{
		fixture: newFixture(t, testConfig(), coretest.AllFeatures), seq: 1000,
		guest: netip.AddrPortFrom(fam.Guest, 4000), peer: netip.AddrPortFrom(fam.Gateway, h.port),
	}
	g.send(packet.SYN, nil)
	g.wait("SYN-ACK", packet.SYN|packet.ACK, 0)
	h.serve() // accepts, and greets with one byte
	g.wait("greeting", packet.ACK, 1)
	return g
}

// TestNoAllocationPerSegment: data to the host, its acknowledgment, and data back
// make no garbage.
func TestNoAllocationPerSegment(t *testing.T) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) {
			h := newHost(t)
			g := greeted(t, fam, h)
			payload := []byte("segment")
			frame := coretest.TCP(g.guest, g.peer, packet.TCPHeader{Flags: packet.ACK, Window: 65535, WScale: -1}, payload)
			l4 := frame[len(frame)-packet.TCPLen-len(payload):]
			exchange := func() {
				binary.BigEndian.PutUint32(l4[4:], uint32(g.seq))
				binary.BigEndian.PutUint32(l4[8:], uint32(g.next))
				g.dev.InjectVnet(coretest.Vnet{Flags: checksumValid}, frame)
				_ = g.turn()
				h.serve()
				_ = g.turn()
				g.seq += seqnum.Value(len(payload))
				g.next += seqnum.Value(len(payload)) // the host echoes
				g.dev.Discard()
			}
			exchange()
			before := h.received
			if n := testing.AllocsPerRun(100, exchange); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
			if got, want := h.received-before, 101*len(payload); got != want {
				t.Errorf("host received %d bytes, want %d", got, want)
			}
		})
	}
}
