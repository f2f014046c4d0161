package flow

import "github.com/pasta-net/pasta/core/sys"

// None is no slot.
const None = ^uint32(0)

// Table maps keys to slots 0 to capacity-1. Memory is reserved at construction but
// only touched as slots come into use, lowest slots first.
type Table struct {
	secret  Secret
	mask    uint32
	buckets []uint32 // slot+1 of the first entry of a chain; 0: empty
	slots   []slot
	free    uint32 // head of the free list, slot+1; 0: empty
	fresh   uint32 // slots from here on were never used
	used    int
}

type slot struct {
	key  Key
	next uint32 // next in chain or free list, slot+1
	gen  uint16 // counts uses of the slot
	live bool
}

// NewTable makes a table of at most capacity flows.
func NewTable(capacity int) *Table {
	size := uint32(1)
	for size < uint32(capacity) {
		size <<= 1
	}
	t := &Table{secret: NewSecret(), mask: size - 1}
	t.buckets, t.slots = sys.Slab[uint32](t, int(size)), sys.Slab[slot](t, capacity)
	return t
}

// Cap is the number of slots.
func (t *Table) Cap() int { return len(t.slots) }

// Len is the number of slots in use.
func (t *Table) Len() int { return t.used }

// Secret is the table's hash key, also good for initial sequence numbers.
func (t *Table) Secret() *Secret { return &t.secret }

// Lookup finds the slot of k, or None.
func (t *Table) Lookup(k *Key) uint32 {
	for i := t.buckets[uint32(k.hash(&t.secret))&t.mask]; i != 0; i = t.slots[i-1].next {
		if t.slots[i-1].key == *k {
			return i - 1
		}
	}
	return None
}

// Insert takes a slot for k, which must not be in the table; None if full.
func (t *Table) Insert(k *Key) uint32 {
	i := t.free
	switch {
	case i != 0:
		t.free = t.slots[i-1].next
	case int(t.fresh) < len(t.slots):
		t.fresh++
		i = t.fresh
	default:
		return None
	}
	bucket := &t.buckets[uint32(k.hash(&t.secret))&t.mask]
	s := &t.slots[i-1]
	s.key, s.next, s.live = *k, *bucket, true
	*bucket = i
	t.used++
	return i - 1
}

// Remove gives slot i back. Its generation changes, so that events which are
// still under way for it can be told from those of its next user.
func (t *Table) Remove(i uint32) {
	s := &t.slots[i]
	if !s.live {
		return
	}
	link := &t.buckets[uint32(s.key.hash(&t.secret))&t.mask]
	for *link != i+1 {
		link = &t.slots[*link-1].next
	}
	*link = s.next
	s.next, s.live = t.free, false
	s.gen++
	t.free = i + 1
	t.used--
}

// Key is the key of a live slot.
func (t *Table) Key(i uint32) *Key { return &t.slots[i].key }

// Gen is the generation of slot i, for epoll data.
func (t *Table) Gen(i uint32) uint16 { return t.slots[i].gen }

// Valid tells whether slot i is live and of generation gen.
func (t *Table) Valid(i uint32, gen uint16) bool {
	return int(i) < len(t.slots) && t.slots[i].live && t.slots[i].gen == gen
}

// All calls f for every live slot; f may remove the slot it is given.
func (t *Table) All(f func(i uint32)) {
	for i := range t.fresh {
		if t.slots[i].live {
			f(i)
		}
	}
}
