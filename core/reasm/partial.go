package reasm

import (
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
)

// fairShare is how many packets of one source may displace those of others.
const fairShare = maxPartial / 4

// key says which packet a fragment is part of: RFC 791 section 3.2, RFC 8200 section
// 4.5, where the protocol has no say.
type key struct {
	src, dst packet.Addr
	id       uint32
	proto    uint8 // of IPv4
}

// partial is a packet of which not all fragments came.
type partial struct {
	key
	used bool
	// conflict: fragments overlap, and all others are dropped too.
	conflict bool
	unicast  bool   // it was sent to one station, not a group
	first    header // of the first fragment, once that came
	buf      *buffer
}

// header is what only the first fragment tells.
type header struct {
	proto, ttl uint8
	dataLen    int // of the fragment, in bytes
}

// note keeps what the frame p of fragment f tells beside its data.
func (d *partial) note(p *packet.Packet, f *packet.Fragment) {
	d.unicast = p.EthDst.IsUnicast()
	if f.Offset == 0 {
		d.first = header{proto: f.Proto, ttl: p.TTL, dataLen: len(f.Data)}
	}
}

// lookup finds the slot of f's packet, or takes one for it.
func (h *Handler) lookup(p *packet.Packet, f *packet.Fragment, now int64) uint32 {
	k := key{src: p.Src, dst: p.Dst, id: f.ID}
	if p.Src.Is4() {
		k.proto = f.Proto
	}
	if d := &h.partial[h.recent]; d.used && d.key == k {
		return h.recent
	}
	i := h.find(&k)
	if i == flow.None {
		i = h.take(&k)
		h.deadlines.Set(i, now+timeout)
	}
	h.recent = i
	return i
}

func (h *Handler) find(k *key) uint32 {
	for i := range h.partial {
		if d := &h.partial[i]; d.used && d.id == k.id && d.key == *k {
			return uint32(i)
		}
	}
	return flow.None
}

// take gives k a slot: the first free one, so that few buffers are made, or that of
// another packet.
func (h *Handler) take(k *key) uint32 {
	i := h.free()
	if i == flow.None {
		i = h.victim(k.src)
		h.release(i)
		if !h.partial[i].conflict {
			h.Stats.Displaced++
			h.link.Drop(packet.DropFragment)
		}
	}
	d := &h.partial[i]
	if d.buf == nil {
		d.buf = new(buffer)
	}
	d.buf.reset()
	*d = partial{key: *k, used: true, buf: d.buf}
	return i
}

func (h *Handler) free() uint32 {
	for i := range h.partial {
		if !h.partial[i].used {
			return uint32(i)
		}
	}
	return flow.None
}

// victim is the slot that a packet from src takes when all are in use: the oldest of
// src itself if that has its share, else of those who have theirs, else of all. So a
// source that floods us drives out nobody else.
func (h *Handler) victim(src packet.Addr) uint32 {
	greedy := h.count(src) >= fairShare
	victim, found := flow.None, false
	for i := range uint32(maxPartial) {
		d := &h.partial[i]
		liable := d.src == src
		if !greedy {
			liable = h.count(d.src) >= fairShare
		}
		switch {
		case liable == found:
			victim = h.older(victim, i)
		case liable:
			victim, found = i, true
		}
	}
	return victim
}

// count is how many slots src has, all being in use.
func (h *Handler) count(src packet.Addr) (n int) {
	for i := range h.partial {
		if h.partial[i].src == src {
			n++
		}
	}
	return n
}

// older is the one of two slots that was taken first; a may be flow.None.
func (h *Handler) older(a, b uint32) uint32 {
	if a == flow.None {
		return b
	}
	atA, _ := h.deadlines.At(a)
	if atB, _ := h.deadlines.At(b); atB < atA {
		return b
	}
	return a
}

// release makes slot i free. Its buffer stays as it is until the slot is taken.
func (h *Handler) release(i uint32) {
	h.deadlines.Clear(i)
	h.partial[i].used = false
}
