package coretest

import (
	"slices"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

// TestEachFrameReadsRecord: frames come back, and of an input that was cut what is
// there.
func TestEachFrameReadsRecord(t *testing.T) {
	input := Record([]byte("one"), nil, []byte("three"))
	for cut, last := range []string{"three", "thre", "thr"} {
		var got []string
		EachFrame(input[:len(input)-cut], func(frame []byte) { got = append(got, string(frame)) })
		if want := []string{"one", "", last}; !slices.Equal(got, want) {
			t.Errorf("%d bytes cut: frames %q, want %q", cut, got, want)
		}
	}
}

func TestToLoopback(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"gateway", Plain(Echo(Guest4, Gateway4, 1, 1, nil)), true},
		{"gateway, IPv6", Plain(Echo(Guest6, Gateway6, 1, 1, nil)), true},
		{"elsewhere", Plain(Echo(Guest4, Guest4, 1, 1, nil)), false},
		{"no packet", Plain(make([]byte, packet.MinFrameLen)), true},
		{"no header", make([]byte, 3), true},
	} {
		if got := ToLoopback(tt.frame); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
