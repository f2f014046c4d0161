package flow

import "github.com/pasta-net/pasta/core/sys"

// Deadlines orders slots by time: a binary heap with positions, so that a slot
// has at most one deadline, moved in O(log n). Times are loop nanoseconds.
type Deadlines struct {
	heap []entry
	pos  []uint32 // by slot: index in heap +1; 0: no deadline
}

type entry struct {
	at   int64
	slot uint32
}

// NewDeadlines makes deadlines for slots 0 to capacity-1.
func NewDeadlines(capacity int) *Deadlines {
	d := &Deadlines{}
	d.heap, d.pos = sys.Slab[entry](d, capacity)[:0], sys.Slab[uint32](d, capacity)
	return d
}

// Next is the earliest deadline; ok is false if there is none.
func (d *Deadlines) Next() (at int64, ok bool) {
	if len(d.heap) == 0 {
		return 0, false
	}
	return d.heap[0].at, true
}

// NextOr is the earliest deadline, or none if there is no deadline at all.
func (d *Deadlines) NextOr(none int64) int64 {
	if at, ok := d.Next(); ok {
		return at
	}
	return none
}

// Len is the number of slots that have a deadline.
func (d *Deadlines) Len() int { return len(d.heap) }

// Set gives slot the deadline at, in place of an earlier one.
func (d *Deadlines) Set(slot uint32, at int64) {
	if p := d.pos[slot]; p != 0 {
		old := d.heap[p-1].at
		d.heap[p-1].at = at
		if at < old {
			d.up(int(p - 1))
		} else {
			d.down(int(p - 1))
		}
		return
	}
	d.heap = append(d.heap, entry{at, slot}) // never beyond its capacity
	d.pos[slot] = uint32(len(d.heap))
	d.up(len(d.heap) - 1)
}

// At is the deadline of slot; ok is false if it has none.
func (d *Deadlines) At(slot uint32) (at int64, ok bool) {
	if p := d.pos[slot]; p != 0 {
		return d.heap[p-1].at, true
	}
	return 0, false
}

// Clear removes the deadline of slot.
func (d *Deadlines) Clear(slot uint32) {
	p := d.pos[slot]
	if p == 0 {
		return
	}
	d.pos[slot] = 0
	last := len(d.heap) - 1
	moved := d.heap[last]
	d.heap = d.heap[:last]
	if int(p-1) == last {
		return
	}
	d.heap[p-1] = moved
	d.pos[moved.slot] = p
	d.up(int(p - 1))
	d.down(int(d.pos[moved.slot] - 1))
}

// Expired takes out one slot whose deadline is not after now.
func (d *Deadlines) Expired(now int64) (slot uint32, ok bool) {
	if len(d.heap) == 0 || d.heap[0].at > now {
		return None, false
	}
	slot = d.heap[0].slot
	d.Clear(slot)
	return slot, true
}

// ExpireIdle ends slots whose time has come by now, up to limit of them; what exceeds
// that stays expired. due tells when a slot really ends: packets only note their time,
// and it is here that deadlines are moved.
func (d *Deadlines) ExpireIdle(now int64, limit int, due func(slot uint32) int64, end func(slot uint32)) {
	for range limit {
		slot, ok := d.Expired(now)
		if !ok {
			return
		}
		if at := due(slot); at > now {
			d.Set(slot, at)
			continue
		}
		end(slot)
	}
}

func (d *Deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if d.heap[parent].at <= d.heap[i].at {
			return
		}
		d.swap(i, parent)
		i = parent
	}
}

func (d *Deadlines) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(d.heap) {
			return
		}
		if child+1 < len(d.heap) && d.heap[child+1].at < d.heap[child].at {
			child++
		}
		if d.heap[i].at <= d.heap[child].at {
			return
		}
		d.swap(i, child)
		i = child
	}
}

func (d *Deadlines) swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	d.pos[d.heap[i].slot] = uint32(i + 1)
	d.pos[d.heap[j].slot] = uint32(j + 1)
}
