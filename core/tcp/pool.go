package tcp

import (
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

// chunkLen is the size of a chunk: one super-frame's payload fits.
const chunkLen = 64 << 10

// pool is a fixed store for data of the guest that was accepted but not yet taken by a
// host socket, or came before its turn. Chunks are linked by index; its memory is only touched when
// used, most recently used chunks first.
type pool struct {
	mem  []byte
	meta []chunk
	free uint16 // index+1 of the first free chunk
	left int    // number of free chunks
	// early is the number of chunks of early data. They count as free for all but early
	// data: it was not acknowledged, so it may be forgotten at any time.
	early int
}

type chunk struct {
	next     uint16 // index+1
	off, end uint32 // bytes in use

	// Of early data: the connection, since when it waits in loop nanoseconds, and the
	// number of the first byte.
	owner uint32 // flow.None: not early data
	since int64
	seq   seqnum.Value
}

func newPool(owner *Handler, chunks int) pool {
	p := pool{mem: sys.Slab[byte](owner, chunks*chunkLen), meta: make([]chunk, chunks), left: chunks}
	for i := range p.meta {
		p.meta[i] = chunk{next: uint16(i + 2), owner: flow.None}
	}
	if chunks > 0 {
		p.meta[chunks-1].next = 0
		p.free = 1
	}
	return p
}

// take gives an empty chunk, index+1; 0 if there is none.
func (p *pool) take() uint16 {
	i := p.free
	if i != 0 {
		p.free = p.meta[i-1].next
		p.meta[i-1] = chunk{owner: flow.None}
		p.left--
	}
	return i
}

func (p *pool) put(i uint16) {
	p.meta[i-1].next = p.free
	p.free = i
	p.left++
}

// bytes is the part of chunk i in use, room what is free behind it.
func (p *pool) bytes(i uint16) []byte {
	base := int(i-1) * chunkLen
	return p.mem[base+int(p.meta[i-1].off) : base+int(p.meta[i-1].end)]
}

func (p *pool) room(i uint16) []byte {
	base := int(i-1) * chunkLen
	return p.mem[base+int(p.meta[i-1].end) : base+chunkLen]
}

// endSeq is the sequence number behind chunk i of early data.
func (p *pool) endSeq(i uint16) seqnum.Value {
	m := &p.meta[i-1]
	return m.seq.Add(seqnum.Size(m.end - m.off))
}

// takeEarly gives an empty chunk for early data of a connection, index+1; 0 if there is
// none, or early data has its quarter of the pool already.
func (p *pool) takeEarly(owner uint32, now int64) uint16 {
	if p.left == 0 || p.early >= len(p.meta)-len(p.meta)/4*3 {
		return 0
	}
	i := p.take()
	p.meta[i-1].owner, p.meta[i-1].since = owner, now
	p.early++
	return i
}

// unmark makes chunk i of early data one of no connection's, which nobody takes away.
func (p *pool) unmark(i uint16) {
	p.meta[i-1].owner = flow.None
	p.early--
}

// low tells whether so little is left that windows should not count on it.
func (p *pool) low() bool { return p.left+p.early < len(p.meta)/2 }
