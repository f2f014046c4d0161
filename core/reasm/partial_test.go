package reasm

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// source gives the fragments of packets from one address.
type source struct {
	fam coretest.Family
	id  uint32
}

func newSource(guest string) *source {
	fam := coretest.Families[0]
	fam.Guest = netip.MustParseAddr(guest)
	return &source{fam: fam}
}

// next is one more packet in two fragments.
func (s *source) next() (first, last []byte) {
	s.id++
	frames := coretest.Fragments(datagram(s.fam, 100), s.id, 64)
	return frames[0], frames[1]
}

// TestOldestIsDisplaced: a guest that loses fragments of many packets can still send
// others, in bounded memory.
func TestOldestIsDisplaced(t *testing.T) {
	f, s := newFixture(t, nil), newSource("10.66.0.2")
	var lasts [][]byte
	const packets = 3 * maxPartial
	for range packets {
		first, last := s.next()
		lasts = append(lasts, last)
		f.send(first)
		f.now++
	}
	if f.used() != maxPartial || f.Stats.Displaced != packets-maxPartial || f.drops()[packet.DropFragment] != packets-maxPartial {
		t.Errorf("%d slots in use, stats %+v, drops %v", f.used(), f.Stats, f.drops())
	}
	if got := f.sendAll(lasts[packets-maxPartial:]...); got != maxPartial {
		t.Errorf("%d packets completed, want the last %d", got, maxPartial)
	}
}

// TestShareOfASource: one that floods us drives nobody out.
func TestShareOfASource(t *testing.T) {
	f, flood, other := newFixture(t, nil), newSource("10.66.0.2"), newSource("10.66.0.3")
	step := func(s *source) []byte {
		first, last := s.next()
		f.send(first)
		f.now++
		return last
	}
	for range 2 * maxPartial {
		step(flood)
	}
	var lasts [][]byte
	for range fairShare {
		lasts = append(lasts, step(other))
		for range maxPartial {
			step(flood)
		}
	}
	if got := f.sendAll(lasts...); got != fairShare {
		t.Errorf("%d packets completed, want %d; stats %+v drops %v", got, fairShare, f.Stats, f.drops())
	}
}

// TestFewBuffers: as long as packets come one after the other, one is enough.
func TestFewBuffers(t *testing.T) {
	f, s := newFixture(t, nil), newSource("10.66.0.2")
	if f.buffers() != 0 {
		t.Errorf("%d buffers before the first fragment", f.buffers())
	}
	for range 100 {
		first, last := s.next()
		if f.sendAll(first, last) != 1 {
			t.Fatal("no packet")
		}
	}
	if f.buffers() != 1 {
		t.Errorf("%d buffers, want 1", f.buffers())
	}
}
