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
}
