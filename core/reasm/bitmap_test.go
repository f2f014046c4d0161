package reasm

import (
	"math/rand/v2"
	"testing"
)

// TestBitmap compares ranges with a set that is kept unit by unit.
func TestBitmap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var m bitmap
		want := map[int]bool{}
		for range 20 {
			from := random.IntN(units)
			to := min(units, from+1+random.IntN(1+random.IntN(300)))
			if random.IntN(2) == 0 {
				m.add(from, to)
				for i := from; i < to; i++ {
					want[i] = true
				}
			}
			some := false
			for i := from; i < to; i++ {
				if m.has(i) != want[i] {
					t.Fatalf("unit %d: got %v, want %v", i, m.has(i), want[i])
				}
				some = some || want[i]
			}
			if got := m.any(from, to); got != some {
				t.Fatalf("any(%d, %d): got %v, want %v", from, to, got, some)
			}
		}
	}
}

func TestBitmapEdges(t *testing.T) {
	for _, r := range [][2]int{{0, 1}, {63, 64}, {63, 65}, {64, 128}, {0, units}, {units - 1, units}} {
		var m bitmap
		m.add(r[0], r[1])
		for i := range units {
			if got, want := m.has(i), r[0] <= i && i < r[1]; got != want {
				t.Fatalf("units %d to %d: unit %d is in the set: %v", r[0], r[1], i, got)
			}
		}
		if m.any(0, r[0]) || r[1] < units && m.any(r[1], units) {
			t.Errorf("units %d to %d: there are others", r[0], r[1])
		}
	}
}
