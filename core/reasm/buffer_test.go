package reasm

import (
	"slices"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

// part is a fragment of n bytes, each of which is its place in the whole.
func part(offset, n int, more bool) packet.Fragment {
	f := packet.Fragment{Offset: offset, More: more, Data: make([]byte, n)}
	for i := range f.Data {
		f.Data[i] = byte(offset + i)
	}
	return f
}

// other is part with one byte changed.
func other(offset, n int, more bool) packet.Fragment {
	f := part(offset, n, more)
	f.Data[n-1]++
	return f
}

func TestBuffer(t *testing.T) {
	tests := []struct {
		name  string
		parts []packet.Fragment
		want  []verdict
		whole bool
	}{
		{"in order", []packet.Fragment{part(0, 16, true), part(16, 5, false)}, []verdict{fits, fits}, true},
		{"last one first", []packet.Fragment{part(16, 5, false), part(8, 8, true), part(0, 8, true)}, []verdict{fits, fits, fits}, true},
		{"hole", []packet.Fragment{part(0, 8, true), part(16, 8, false)}, []verdict{fits, fits}, false},
		{"no end", []packet.Fragment{part(0, 8, true), part(8, 8, true)}, []verdict{fits, fits}, false},
		{"no beginning", []packet.Fragment{part(8, 8, true), part(16, 8, false)}, []verdict{fits, fits}, false},
		{"duplicate", []packet.Fragment{part(0, 16, true), part(0, 16, true), part(16, 8, false)}, []verdict{fits, duplicate, fits}, true},
		{"duplicate before a neighbour", []packet.Fragment{part(8, 8, true), part(0, 8, true), part(0, 8, true)}, []verdict{fits, fits, duplicate}, false},
		{"duplicate of the last", []packet.Fragment{part(8, 3, false), part(8, 3, false)}, []verdict{fits, duplicate}, false},
		{"duplicate of the middle", []packet.Fragment{part(24, 1, false), part(8, 16, true), part(8, 16, true), part(0, 8, true)}, []verdict{fits, fits, duplicate, fits}, true},
		{"same place, other data", []packet.Fragment{part(0, 8, true), other(0, 8, true)}, []verdict{fits, conflict}, false},
		{"same data, shorter", []packet.Fragment{part(0, 16, true), part(0, 8, true)}, []verdict{fits, conflict}, false},
		{"same data, longer", []packet.Fragment{part(0, 8, true), part(0, 16, true)}, []verdict{fits, conflict}, false},
		{"two as one", []packet.Fragment{part(0, 8, true), part(8, 8, true), part(0, 16, true)}, []verdict{fits, fits, conflict}, false},
		{"tail of another", []packet.Fragment{part(0, 16, true), part(8, 8, true)}, []verdict{fits, conflict}, false},
		{"inside", []packet.Fragment{part(0, 32, true), part(8, 8, true)}, []verdict{fits, conflict}, false},
		{"around", []packet.Fragment{part(8, 8, true), part(0, 32, true)}, []verdict{fits, conflict}, false},
		{"across", []packet.Fragment{part(8, 16, true), part(16, 16, true)}, []verdict{fits, conflict}, false},
		{"beyond the end", []packet.Fragment{part(8, 8, false), part(16, 8, true)}, []verdict{fits, conflict}, false},
		{"end before the last byte", []packet.Fragment{part(16, 8, true), part(8, 8, false)}, []verdict{fits, conflict}, false},
		{"two ends", []packet.Fragment{part(8, 8, false), part(16, 8, false)}, []verdict{fits, conflict}, false},
		{"two ends in a unit", []packet.Fragment{part(8, 3, false), part(8, 4, false)}, []verdict{fits, conflict}, false},
		{"last one is not the last", []packet.Fragment{part(8, 8, false), part(8, 8, true)}, []verdict{fits, conflict}, false},
		{"becomes the last", []packet.Fragment{part(8, 8, true), part(8, 8, false)}, []verdict{fits, conflict}, false},
		{"longest", []packet.Fragment{part(65528, 7, false), part(0, 65528, true)}, []verdict{fits, fits}, true},
	}
	b := new(buffer)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.reset() // what earlier tests left in the data must not matter
			var got []verdict
			for i := range tt.parts {
				got = append(got, b.add(&tt.parts[i]))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("verdicts: got %v, want %v", got, tt.want)
			}
			if slices.Contains(got, conflict) {
				return
			}
			if b.complete() != tt.whole {
				t.Fatalf("complete: got %v, want %v", b.complete(), tt.whole)
			}
			if want := part(0, b.end, false).Data; tt.whole && !slices.Equal(b.whole(), want) {
				t.Errorf("whole: got % x, want % x", b.whole(), want)
			}
		})
	}
}
