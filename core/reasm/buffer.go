package reasm

import (
	"bytes"

	"github.com/pasta-net/pasta/core/packet"
)

const (
	unit = packet.FragmentUnit
	// maxData is the most data that fragments can make, in bytes (packet.Fragment
	// gives no others).
	maxData = 65535
)

// buffer collects the data of one packet, in any order. Which of it has come is kept
// per fragment unit, in two sets: a fragment ends where another one starts, or where
// nothing has come.
type buffer struct {
	have   bitmap // units that came
	starts bitmap // those with which a fragment starts
	got    int    // bytes that came
	end    int    // end of what came, in bytes
	closed bool   // the last fragment came: nothing goes beyond end
	data   [maxData]byte
}

// verdict is what a fragment is to those that came before it.
type verdict uint8

const (
	fits      verdict = iota
	duplicate         // one of them came again
	conflict          // no packet has both
)

// reset forgets all fragments; their data need not be cleared, as it is only read
// where some came.
func (b *buffer) reset() {
	b.have, b.starts = bitmap{}, bitmap{}
	b.got, b.end, b.closed = 0, 0, false
}

// add takes one fragment that has data. Overlaps are no part of any honest packet
// (RFC 5722, RFC 8200 section 4.5).
func (b *buffer) add(f *packet.Fragment) verdict {
	from, to := f.Offset/unit, (f.End()+unit-1)/unit
	switch {
	case b.closed && (f.End() > b.end || !f.More && f.End() != b.end || f.More && f.End() == b.end):
		return conflict
	case !b.closed && !f.More && f.End() < b.end:
		return conflict
	case b.have.any(from, to):
		return b.again(f, from, to)
	}
	b.have.add(from, to)
	b.starts.add(from, from+1)
	copy(b.data[f.Offset:], f.Data)
	b.got += len(f.Data)
	b.end = max(b.end, f.End())
	b.closed = b.closed || !f.More
	return fits
}

// again judges a fragment, of the units from to below to, some of which came before.
func (b *buffer) again(f *packet.Fragment, from, to int) verdict {
	same := b.starts.has(from) && b.fragmentEnd(from) == to && bytes.Equal(b.data[f.Offset:f.End()], f.Data)
	if same && (f.More || b.closed) {
		return duplicate
	}
	return conflict
}

// fragmentEnd is where the fragment ends that starts with unit i.
func (b *buffer) fragmentEnd(i int) int {
	for i++; i < units && b.have.has(i) && !b.starts.has(i); i++ {
	}
	return i
}

// complete tells whether all fragments came: they do not overlap, so counting is
// enough.
func (b *buffer) complete() bool { return b.closed && b.got == b.end }

// whole is the data of the packet, once complete.
func (b *buffer) whole() []byte { return b.data[:b.end] }
