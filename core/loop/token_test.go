package loop

import "testing"

func TestToken(t *testing.T) {
	tests := []struct {
		name  string
		kind  Kind
		gen   uint16
		index uint32
		want  Token
	}{
		{"zero", KindNone, 0, 0, 0},
		{"each field in its place", KindTCP, 0x1234, 0x56789abc, 0x03_00_1234_56789abc},
		{"largest", 0xff, 0xffff, 0xffffffff, 0xff_00_ffff_ffffffff},
		{"sign bits of the halves", KindTap, 0x8000, 0x80000000, 0x02_00_8000_80000000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := MakeToken(tt.kind, tt.gen, tt.index)
			if got != tt.want {
				t.Errorf("MakeToken = %#x, want %#x", uint64(got), uint64(tt.want))
			}
			if got.Kind() != tt.kind || got.Gen() != tt.gen || got.Index() != tt.index {
				t.Errorf("fields %v, %#x, %#x, want %v, %#x, %#x", got.Kind(), got.Gen(), got.Index(), tt.kind, tt.gen, tt.index)
			}
		})
	}
}
