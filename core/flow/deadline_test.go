package flow

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// earliest is what a map of deadlines has as its minimum.
func earliest(m map[uint32]int64) (at int64, ok bool) {
	for _, v := range m {
		if !ok || v < at {
			at, ok = v, true
		}
	}
	return at, ok
}

// TestDeadlinesAreAMap runs random operations on a heap and on a map.
func TestDeadlinesAreAMap(t *testing.T) {
	const slots = 50
	rng := rand.New(rand.NewPCG(3, 4))
	d, m := NewDeadlines(slots), map[uint32]int64{}
	for range 20000 {
		slot := uint32(rng.IntN(slots))
		switch rng.IntN(4) {
		case 0, 1:
			at := rng.Int64N(100)
			d.Set(slot, at)
			m[slot] = at
		case 2:
			d.Clear(slot)
			delete(m, slot)
		case 3:
			expireOne(t, d, m, rng.Int64N(100))
		}
		compareDeadlines(t, d, m, slot)
	}
}

func expireOne(t *testing.T, d *Deadlines, m map[uint32]int64, now int64) {
	t.Helper()
	first, some := earliest(m)
	slot, ok := d.Expired(now)
	if want := some && first <= now; ok != want || ok && m[slot] != first {
		t.Fatalf("Expired(%d) = %d, %v with a deadline at %d, want one at %d: %v", now, slot, ok, m[slot], first, want)
	}
	if !ok && slot != None {
		t.Fatalf("Expired without a slot = %d, want None", slot)
	}
	delete(m, slot)
}

func compareDeadlines(t *testing.T, d *Deadlines, m map[uint32]int64, slot uint32) {
	t.Helper()
	if d.Len() != len(m) {
		t.Fatalf("Len = %d, want %d", d.Len(), len(m))
	}
	at, ok := d.Next()
	if want, some := earliest(m); at != want || ok != some {
		t.Fatalf("Next = %d, %v, want %d, %v", at, ok, want, some)
	}
	at, ok = d.At(slot)
	if want, some := m[slot]; at != want || ok != some {
		t.Fatalf("At(%d) = %d, %v, want %d, %v", slot, at, ok, want, some)
	}
}

func TestExpiredComesInOrder(t *testing.T) {
	d := NewDeadlines(5)
	for slot, at := range []int64{30, 10, 50, 20, 40} {
		d.Set(uint32(slot), at)
	}
	for _, want := range []uint32{1, 3, 0, 4} {
		if got, ok := d.Expired(40); !ok || got != want {
			t.Errorf("Expired = %d, %v, want %d", got, ok, want)
		}
	}
	if slot, ok := d.Expired(49); ok {
		t.Errorf("Expired(49) = %d, want none before 50", slot)
	}
}

func TestDeadlinesNoAllocation(t *testing.T) {
	const slots = 64
	d := NewDeadlines(slots)
	now := int64(0)
	if a := testing.AllocsPerRun(100, func() {
		for i := range uint32(slots) { // to capacity
			d.Set(i, now+int64(i*7%slots))
		}
		d.Clear(5)
		for _, ok := d.Expired(now + slots); ok; _, ok = d.Expired(now + slots) {
			now++
		}
	}); a != 0 {
		t.Errorf("%v allocations, want 0", a)
	}
}

func BenchmarkDeadlines(b *testing.B) {
	const slots = 10000
	d := NewDeadlines(slots)
	for i := range uint32(slots) {
		d.Set(i, int64(i))
	}
	b.ReportAllocs()
	for n := int64(slots); b.Loop(); n++ {
		d.Set(uint32(n%slots), n) // as a busy flow pushes its timeout back
	}
}

// TestExpireIdle: slots that have been used since are put off, the others end, and no
// more than the limit are looked at.
func TestExpireIdle(t *testing.T) {
	d := NewDeadlines(4)
	if next := d.NextOr(-1); next != -1 {
		t.Errorf("next at %d without deadlines, want -1", next)
	}
	for slot := range uint32(4) {
		d.Set(slot, int64(10+slot))
	}
	due := func(slot uint32) int64 {
		if slot == 1 {
			return 50
		}
		return 10 + int64(slot)
	}
	var ended []uint32
	end := func(slot uint32) { ended = append(ended, slot) }
	for _, step := range []struct {
		now   int64
		limit int
		want  []uint32 // ended so far
		next  int64
	}{
		{9, 10, nil, 10},
		{12, 2, []uint32{0}, 12},
		{12, 10, []uint32{0, 2}, 13},
		{49, 10, []uint32{0, 2, 3}, 50},
	} {
		d.ExpireIdle(step.now, step.limit, due, end)
		if next := d.NextOr(-1); !slices.Equal(ended, step.want) || next != step.next {
			t.Errorf("by %d: ended %v, next at %d, want %v and %d", step.now, ended, next, step.want, step.next)
		}
	}
}
