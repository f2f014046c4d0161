package flow

import (
	"math"
	"slices"
	"testing"
	"time"
)

// inOrder ends everything in the order in which LeastUseful names it.
func inOrder(r *Recency) (slots []uint32) {
	for {
		i := r.LeastUseful()
		if i == None {
			return slots
		}
		slots = append(slots, i)
		r.Remove(i)
	}
}

func TestRecencyOrder(t *testing.T) {
	r := NewRecency(4, time.Second, time.Second)
	for i := range uint32(4) {
		r.Use(i, Unanswered, int64(i))
	}
	r.Again(1, 10)
	r.Again(0, 11)
	r.Again(0, 12)
	r.Remove(3)
	r.Remove(3)
	if n := r.Len(Unanswered); n != 3 {
		t.Errorf("%d slots, want 3", n)
	}
	if got, want := inOrder(r), []uint32{2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// Answered ones stay while there is a quarter of others.
func TestLeastUseful(t *testing.T) {
	r := NewRecency(8, time.Second, time.Second)
	for i := range uint32(8) {
		r.Use(i, Unanswered, int64(i))
	}
	for i := range uint32(6) {
		r.Use(i, Answered, 10)
	}
	if r.Len(Answered) != 6 || r.Class(0) != Answered || r.Class(7) != Unanswered {
		t.Fatalf("%d answered, want 6", r.Len(Answered))
	}
	if got, want := inOrder(r), []uint32{6, 0, 1, 2, 7, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestSpare(t *testing.T) {
	r := NewRecency(2, time.Hour, time.Hour)
	r.Use(0, Answered, 0)
	r.Use(1, Unanswered, 1e9)
	for _, tt := range []struct {
		now  time.Duration
		want uint32
	}{{4999 * time.Millisecond, None}, {5 * time.Second, 0}, {6 * time.Second, 1}} {
		if got := r.Spare(int64(tt.now)); got != tt.want {
			t.Errorf("after %v: %d, want %d", tt.now, got, tt.want)
		}
	}
}

func TestRecencyExpire(t *testing.T) {
	r := NewRecency(5, 3*time.Second, 10*time.Second)
	var ended []uint32
	end := func(i uint32) {
		ended = append(ended, i)
		r.Remove(i)
	}
	if at := r.NextOr(7); at != 7 {
		t.Errorf("deadline %d of nothing, want 7", at)
	}
	for i := range uint32(5) {
		r.Use(i, int(i)%2, int64(i)*1e9)
	}
	r.Again(0, 5e9)
	for _, tt := range []struct {
		now  time.Duration
		next time.Duration // before
		want []uint32
	}{
		{4 * time.Second, 5 * time.Second, nil},
		{5 * time.Second, 5 * time.Second, []uint32{2}},
		{12 * time.Second, 7 * time.Second, []uint32{4, 1}}, // one of each class
		{12 * time.Second, 8 * time.Second, []uint32{0}},
		{13 * time.Second, 13 * time.Second, []uint32{3}},
	} {
		ended = nil
		if at := time.Duration(r.NextOr(math.MaxInt64)); at != tt.next {
			t.Errorf("before %v: deadline %v, want %v", tt.now, at, tt.next)
		}
		if r.Expire(int64(tt.now), 1, end); !slices.Equal(ended, tt.want) {
			t.Errorf("at %v: %v end, want %v", tt.now, ended, tt.want)
		}
	}
	if r.NextOr(math.MaxInt64) != math.MaxInt64 {
		t.Error("something is left")
	}
}

func BenchmarkRecencyUse(b *testing.B) {
	const slots = 1 << 14
	r := NewRecency(slots, time.Second)
	b.ReportAllocs()
	for n := range b.N {
		r.Use(uint32(n*7919)%slots, 0, int64(n))
	}
}
