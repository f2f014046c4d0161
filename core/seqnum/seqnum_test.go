package seqnum

import "testing"

func TestOrderAcrossWrap(t *testing.T) {
	tests := []struct {
		v, w       Value
		less, lesq bool
	}{
		{1, 2, true, true},
		{2, 2, false, true},
		{3, 2, false, false},
		{0xffffffff, 0, true, true},
		{0, 0xffffffff, false, false},
		{0xfffffff0, 0x10, true, true},
	}
	for _, tt := range tests {
		if got := tt.v.LessThan(tt.w); got != tt.less {
			t.Errorf("%d.LessThan(%d): got %v, want %v", tt.v, tt.w, got, tt.less)
		}
		if got := tt.v.LessThanEq(tt.w); got != tt.lesq {
			t.Errorf("%d.LessThanEq(%d): got %v, want %v", tt.v, tt.w, got, tt.lesq)
		}
		want := tt.w
		if !tt.less {
			want = tt.v
		}
		if got := Max(tt.v, tt.w); got != want {
			t.Errorf("Max(%d, %d): got %d, want %d", tt.v, tt.w, got, want)
		}
	}
}

func TestWindowAcrossWrap(t *testing.T) {
	first := Value(0xfffffffe)
	tests := []struct {
		v    Value
		size Size
		want bool
	}{
		{0xfffffffe, 4, true},
		{1, 4, true},
		{2, 4, false},
		{0xfffffffd, 4, false},
		{0xfffffffe, 0, false},
	}
	for _, tt := range tests {
		if got := tt.v.InWindow(first, tt.size); got != tt.want {
			t.Errorf("%#x.InWindow(%#x, %d): got %v, want %v", tt.v, first, tt.size, got, tt.want)
		}
		if got := tt.v.InRange(first, first.Add(tt.size)); got != tt.want {
			t.Errorf("%#x.InRange over %d: got %v, want %v", tt.v, tt.size, got, tt.want)
		}
	}
	if got := Value(3).Sub(first); got != 5 {
		t.Errorf("Sub across wrap: got %d, want 5", got)
	}
}
