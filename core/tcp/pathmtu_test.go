package tcp

import (
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// tooBig has a router behind the guest say that packets may have mtu bytes, about the
// segment with number seq, and tells whether it was for the handler.
func (p *peer) tooBig(seq int, mtu uint16) bool {
	k := p.key()
	known := p.h.TooBig(&packet.Quoted{
		Src: k.Peer, Dst: k.Guest, Proto: packet.ProtoTCP, SrcPort: k.PeerPort, DstPort: k.GuestPort,
		Seq: p.irs + seqnum.Value(seq),
	}, mtu, p.Now)
	p.turn(0)
	return known
}

// The router drops the super-frame as a whole, or each segment with an error of its own.
func TestSegmentsFitTheWayBehindTheGuest(t *testing.T) {
	p, all := threeSegments(t)
	for range 3 {
		if !p.tooBig(1, 840) {
			t.Error("not taken for an error about the connection")
		}
	}
	p.expect(data(1, 1, all))
	if p.last.GSOSize != 800 {
		t.Errorf("segments of %d bytes, want 800", p.last.GSOSize)
	}
	p.send(pureAck(1, 3001))
	p.hostSends(pattern(0, 2000))
	p.await(data(3001, 1, pattern(0, 2000)))
	if p.last.GSOSize != 800 {
		t.Errorf("segments of %d bytes afterwards, want 800", p.last.GSOSize)
	}
	if _, c := p.live(); c.cwnd != noCwnd {
		t.Errorf("congestion window of %d", c.cwnd)
	}
}

// A FIN that was sent behind the data goes behind it again.
func TestTooBigWithFIN(t *testing.T) {
	p, all := threeSegments(t)
	_ = p.host.CloseWrite()
	p.await(seg{flags: fin | ack, seq: 3001, ack: 1, wnd: anyWnd})
	p.tooBig(1, 840)
	p.expect(data(1, 1, all), seg{flags: fin | ack, seq: 3001, ack: 1, wnd: anyWnd})
}

// What is not in flight, larger than segments are, or of nobody's, changes nothing.
func TestTooBigThatIsNotBelieved(t *testing.T) {
	p, all := threeSegments(t)
	p.tooBig(0, 840)
	p.tooBig(3001, 840)
	p.tooBig(1, 1040)
	other := *p
	other.guest = p.remote
	if other.tooBig(1, 840) {
		t.Error("taken for an error about a connection that does not exist")
	}
	p.expect()
	p.send(pureAck(1, 3001))
	p.hostSends(all)
	p.await(data(3001, 1, all))
	if p.last.GSOSize != 1000 {
		t.Errorf("segments of %d bytes, want 1000", p.last.GSOSize)
	}
}
