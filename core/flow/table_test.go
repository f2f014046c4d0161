package flow

import (
	"math/rand/v2"
	"testing"
)

// testKey makes keys that differ in port or, beyond 16 bits, address.
func testKey(n int) *Key {
	return &Key{GuestPort: uint16(n), PeerPort: 80, Guest: [16]byte{15: byte(n >> 16)}}
}

// model is a table as a map does it.
type model struct {
	slots map[Key]uint32
	gens  map[uint32]uint16
}

// check compares table and model: lookups of all keys, slots, generations.
func (m *model) check(t *testing.T, table *Table, keys int) {
	t.Helper()
	if table.Len() != len(m.slots) {
		t.Fatalf("Len = %d, want %d", table.Len(), len(m.slots))
	}
	for n := range keys {
		k := testKey(n)
		want, live := m.slots[*k]
		got := table.Lookup(k)
		switch {
		case !live && got != None:
			t.Fatalf("key %d: found in slot %d, want none", n, got)
		case live && got != want:
			t.Fatalf("key %d: found in slot %d, want %d", n, got, want)
		case live && (*table.Key(got) != *k || !table.Valid(got, m.gens[got]) || table.Valid(got, m.gens[got]+1)):
			t.Fatalf("slot %d: key %+v, generation %d, want %+v, %d", got, table.Key(got), table.Gen(got), k, m.gens[got])
		}
	}
	seen := map[uint32]bool{}
	table.All(func(i uint32) { seen[i] = true })
	if len(seen) != len(m.slots) {
		t.Fatalf("All visits %d slots, want %d", len(seen), len(m.slots))
	}
}

// TestTableIsAMap runs random operations on a table and on a map.
func TestTableIsAMap(t *testing.T) {
	for _, capacity := range []int{1, 7, 64} {
		rng := rand.New(rand.NewPCG(uint64(capacity), 1))
		table := NewTable(capacity)
		m := model{slots: map[Key]uint32{}, gens: map[uint32]uint16{}}
		keys := 2 * capacity
		for range 5000 {
			m.step(t, table, testKey(rng.IntN(keys)))
			if rng.IntN(100) == 0 {
				m.check(t, table, keys)
			}
		}
		m.check(t, table, keys)
	}
}

// step removes k if it is there, and inserts it if not.
func (m *model) step(t *testing.T, table *Table, k *Key) {
	t.Helper()
	if i, live := m.slots[*k]; live {
		table.Remove(i)
		delete(m.slots, *k)
		m.gens[i]++
		return
	}
	i := table.Insert(k)
	if full := len(m.slots) == table.Cap(); full != (i == None) {
		t.Fatalf("Insert into a table with %d of %d slots used = %d", len(m.slots), table.Cap(), i)
	}
	if i == None {
		return
	}
	for _, used := range m.slots {
		if used == i {
			t.Fatalf("Insert gave slot %d twice", i)
		}
	}
	m.slots[*k] = i
}

// TestChains removes the first, a middle and the last entry of one hash chain.
func TestChains(t *testing.T) {
	for _, removed := range []int{0, 1, 2, 3} {
		table := NewTable(4)
		table.mask = 0 // every key falls into the first bucket
		for n := range 4 {
			table.Insert(testKey(n))
		}
		table.Remove(table.Lookup(testKey(removed)))
		for n := range 4 {
			if got := table.Lookup(testKey(n)); (got == None) != (n == removed) {
				t.Errorf("after removal of key %d: key %d in slot %d", removed, n, got)
			}
		}
	}
}

func TestLowestSlotsFirst(t *testing.T) {
	table := NewTable(100)
	for n := range 10 {
		if got := table.Insert(testKey(n)); got != uint32(n) {
			t.Errorf("key %d in slot %d, want %d", n, got, n)
		}
	}
	table.Remove(3)
	if got := table.Insert(testKey(50)); got != 3 {
		t.Errorf("slot %d, want the freed slot 3 before fresh ones", got)
	}
}

func TestRemoveOfFreeSlotIsIgnored(t *testing.T) {
	table := NewTable(2)
	i := table.Insert(testKey(1))
	table.Remove(i)
	gen := table.Gen(i)
	table.Remove(i)
	if table.Gen(i) != gen || table.Len() != 0 {
		t.Errorf("generation %d and length %d, want %d and 0", table.Gen(i), table.Len(), gen)
	}
	if a, b := table.Insert(testKey(1)), table.Insert(testKey(2)); a == b {
		t.Errorf("slot %d was on the free list twice", a)
	}
}

func TestValid(t *testing.T) {
	table := NewTable(2)
	i := table.Insert(testKey(1))
	gen := table.Gen(i)
	if !table.Valid(i, gen) || table.Valid(i, gen+1) || table.Valid(1, 0) || table.Valid(2, 0) || table.Valid(None, 0) {
		t.Error("Valid is wrong for a live, stale, fresh or impossible slot")
	}
	table.Remove(i)
	table.Insert(testKey(1))
	if table.Valid(i, gen) {
		t.Error("the generation of the earlier user is still valid")
	}
}

func TestAllMayRemove(t *testing.T) {
	table := NewTable(10)
	for n := range 10 {
		table.Insert(testKey(n))
	}
	visited := 0
	table.All(func(i uint32) { visited++; table.Remove(i) })
	if visited != 10 || table.Len() != 0 {
		t.Errorf("visited %d, left %d, want 10 and 0", visited, table.Len())
	}
}

func TestTableWithoutSlots(t *testing.T) {
	table := NewTable(0)
	if i := table.Insert(testKey(1)); i != None || table.Lookup(testKey(1)) != None || table.Cap() != 0 {
		t.Errorf("Insert = %d, want none", i)
	}
}

func TestTableNoAllocation(t *testing.T) {
	table := NewTable(16)
	n := 0
	if a := testing.AllocsPerRun(1000, func() {
		n++
		k := Key{GuestPort: uint16(n)}
		if i := table.Insert(&k); i != None {
			table.Remove(table.Lookup(&k))
			table.Secret().ISN(&k, 1)
		}
	}); a != 0 {
		t.Errorf("%v allocations, want 0", a)
	}
}

func BenchmarkLookup(b *testing.B) {
	const flows = 10000
	table := NewTable(1 << 16)
	keys := make([]Key, flows)
	for n := range keys {
		keys[n] = *testKey(n)
		table.Insert(&keys[n])
	}
	miss := testKey(flows)
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			table.Lookup(&keys[n%flows])
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Lookup(miss)
		}
	})
}
