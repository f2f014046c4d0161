package flow

import (
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

// The classes that flows with a socket of their own have in a Recency. Its owner may
// have more of them, counting on from Answered.
const (
	Unanswered = iota
	Answered
)

// spareAfter is how long a flow must have been unused for another protocol to get its
// socket, in nanoseconds.
const spareAfter = int64(5e9)

// Recency keeps slots in the order of their last use, in classes with a timeout each:
// one ring of links per class, so that whatever is asked about takes a few steps. Times
// are loop nanoseconds, which must not run backwards.
type Recency struct {
	uses     []use   // by slot; behind them one by class, between its newest and its oldest
	slots    uint32  // where the latter begin
	timeouts []int64 // by class, as are the numbers of slots
	lens     []int
}

type use struct {
	last       int64
	prev, next uint32 // older and newer; both zero: in no class
	class      uint8
}

// NewRecency makes an order for slots 0 to capacity-1, with a class for each timeout.
func NewRecency(capacity int, timeouts ...time.Duration) *Recency {
	r := &Recency{slots: uint32(capacity), lens: make([]int, len(timeouts))}
	r.uses = sys.Slab[use](r, capacity+len(timeouts))
	for class, t := range timeouts {
		r.timeouts = append(r.timeouts, int64(t))
		end := r.end(class)
		r.uses[end].prev, r.uses[end].next = end, end
	}
	return r
}

// end is the index between the newest and the oldest of a class.
func (r *Recency) end(class int) uint32 { return r.slots + uint32(class) }

// Use makes slot the newest of a class, in which it need not have been before.
func (r *Recency) Use(slot uint32, class int, now int64) {
	u, end := &r.uses[slot], r.end(class)
	u.last = now
	if u.next == end {
		return
	}
	r.Remove(slot)
	newest := r.uses[end].prev
	u.prev, u.next, u.class = newest, end, uint8(class)
	r.uses[newest].next, r.uses[end].prev = slot, slot
	r.lens[class]++
}

// Again makes slot, which is in a class, the newest there.
func (r *Recency) Again(slot uint32, now int64) { r.Use(slot, r.Class(slot), now) }

// Remove takes slot out of its class, if it is in one.
func (r *Recency) Remove(slot uint32) {
	u := &r.uses[slot]
	if u.next == u.prev && u.next == 0 {
		return
	}
	r.uses[u.prev].next, r.uses[u.next].prev = u.next, u.prev
	u.prev, u.next = 0, 0
	r.lens[u.class]--
}

// Class is the class of slot, which is in one.
func (r *Recency) Class(slot uint32) int { return int(r.uses[slot].class) }

// Len is the number of slots in a class.
func (r *Recency) Len(class int) int { return r.lens[class] }

// Oldest is the slot of a class that is unused for longest, or None.
func (r *Recency) Oldest(class int) uint32 {
	if slot := r.uses[r.end(class)].next; slot < r.slots {
		return slot
	}
	return None
}

// LeastUseful is the slot to end so that a new flow can have its socket, or None.
func (r *Recency) LeastUseful() uint32 { return r.LeastUsefulOf(Unanswered, Answered) }

// LeastUsefulOf is the slot of two classes to end for a new one, or None: the oldest
// that is unanswered, but a quarter is left to these, so that new flows have time to be
// answered when all others are.
func (r *Recency) LeastUsefulOf(unanswered, answered int) uint32 {
	if 3*r.lens[unanswered] >= r.lens[answered] {
		return r.Oldest(unanswered)
	}
	return r.Oldest(answered)
}

// Spare is a slot whose socket another protocol may have, as it is unused for a while,
// or None.
func (r *Recency) Spare(now int64) uint32 {
	for class := Unanswered; class <= Answered; class++ {
		if slot := r.Oldest(class); slot != None && now-r.uses[slot].last >= spareAfter {
			return slot
		}
	}
	return None
}

// NextOr is when the first slot is unused for its timeout, or none if there is no slot.
func (r *Recency) NextOr(none int64) int64 {
	next := none
	for class, timeout := range r.timeouts {
		if slot := r.Oldest(class); slot != None {
			next = min(next, r.uses[slot].last+timeout)
		}
	}
	return next
}

// Expire ends slots that are unused for their timeouts by now, up to limit of each class.
// end must remove them.
func (r *Recency) Expire(now int64, limit int, end func(slot uint32)) {
	for class, timeout := range r.timeouts {
		for range limit {
			slot := r.Oldest(class)
			if slot == None || r.uses[slot].last+timeout > now {
				break
			}
			end(slot)
		}
	}
}
