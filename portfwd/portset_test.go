package portfwd

import "testing"

func setOf(ports ...uint16) *PortSet {
	var s PortSet
	for _, p := range ports {
		s.Add(p)
	}
	return &s
}

func TestPortSet(t *testing.T) {
	s := setOf(0, 1, 63, 64, 65535)
	s.Remove(63)
	for port := range 1 << 16 {
		want := port == 0 || port == 1 || port == 64 || port == 65535
		if got := s.Has(uint16(port)); got != want {
			t.Errorf("Has(%d) = %v, want %v", port, got, want)
		}
	}
}

func TestPortSetRanges(t *testing.T) {
	for _, r := range []Range{{0, 0}, {0, 63}, {1, 62}, {63, 64}, {5, 200}, {64, 127}, {65535, 65535}, {0, 65535}} {
		var s PortSet
		s.AddRange(r.First, r.Last)
		for port := range 1 << 16 {
			want := port >= int(r.First) && port <= int(r.Last)
			if got := s.Has(uint16(port)); got != want {
				t.Fatalf("range %v: Has(%d) = %v, want %v", r, port, got, want)
			}
		}
		var list [2]Range
		if n := s.ranges(list[:]); n != 1 || list[0] != r {
			t.Errorf("ranges of %v: %v", r, list[:n])
		}
	}
}

func TestPortSetAlgebra(t *testing.T) {
	s := setOf(1, 2, 3)
	s.Union(setOf(3, 4))
	if *s != *setOf(1, 2, 3, 4) {
		t.Error("union is wrong")
	}
	s.Subtract(setOf(2, 4, 5))
	if *s != *setOf(1, 3) {
		t.Error("difference is wrong")
	}
	s.Intersect(setOf(3, 4))
	if *s != *setOf(3) {
		t.Error("intersection is wrong")
	}
}
