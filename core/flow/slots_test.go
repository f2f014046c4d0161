package flow

import "testing"

func TestSlotsKeepTheirIndices(t *testing.T) {
	var s Slots[string]
	add := func(fd int, value string) (uint32, uint16) {
		i, gen, v := s.Add(fd)
		*v = value
		return i, gen
	}
	a, genA := add(10, "a")
	b, genB := add(11, "b")
	s.Remove(a)
	if s.At(a, genA) != nil {
		t.Error("a removed slot is still there")
	}
	if _, ok := s.Find(10); ok || s.Len() != 1 {
		t.Errorf("descriptor 10 is still known, or the length %d is not 1", s.Len())
	}
	c, genC := add(12, "c")
	if c != a || genC == genA {
		t.Errorf("slot %d with generation %d, want slot %d again with another than %d", c, genC, a, genA)
	}
	if s.At(a, genA) != nil {
		t.Error("an event of the earlier user reaches the new one")
	}
	if v := s.At(b, genB); v == nil || *v != "b" {
		t.Errorf("slot %d holds %v, want b", b, v)
	}
	if i, ok := s.Find(12); !ok || *s.Value(i) != "c" || s.Gen(i) != genC {
		t.Errorf("descriptor 12 is in slot %d, %v", i, ok)
	}
}

func TestSlotsOutOfRange(t *testing.T) {
	var s Slots[int]
	if s.At(0, 0) != nil || s.Len() != 0 {
		t.Error("an empty list has a slot")
	}
	i, gen, _ := s.Add(3)
	if s.At(i, gen+1) != nil || s.At(i+1, 0) != nil {
		t.Error("At gave a slot for the wrong generation or index")
	}
}

func TestSlotsAllMayRemove(t *testing.T) {
	var s Slots[int]
	for fd := range 5 {
		s.Add(fd + 3)
	}
	var seen []int
	s.All(func(i uint32, fd int) {
		seen = append(seen, fd)
		s.Remove(i)
	})
	if len(seen) != 5 || s.Len() != 0 {
		t.Errorf("visited %v, left %d, want five and none", seen, s.Len())
	}
}

func TestSlotsAtDoesNotAllocate(t *testing.T) {
	var s Slots[[4]int]
	i, gen, _ := s.Add(3)
	if n := testing.AllocsPerRun(100, func() { s.At(i, gen)[0]++ }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
