package sys

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReason(t *testing.T) {
	tests := []struct {
		name  string
		input error
		want  string
	}{
		{"errno", unix.ENOENT, "No such file or directory"},
		{"wrapped errno", fmt.Errorf("open tap %q: %w", "t", unix.EPERM), "Operation not permitted"},
		{"no errno", errors.New("bad thing"), "Bad thing"},
		{"empty", errors.New(""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Reason(tt.input); got != tt.want {
				t.Errorf("Reason(%v): got %q, want %q", tt.input, got, tt.want)
			}
		})
	}
}
