package packet

import (
	"strings"
	"testing"
)

func TestAppendName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	long255 := strings.Join([]string{label63, label63, label63, label63[:61]}, ".") // 3*64+62+1
	for _, tt := range []struct {
		name, in, want, err string
	}{
		{"one label", "lan", "\x03lan\x00", ""},
		{"labels", "a.example.org", "\x01a\x07example\x03org\x00", ""},
		{"trailing dot", "lan.", "\x03lan\x00", ""},
		{"longest label", label63, "\x3f" + label63 + "\x00", ""},
		{"empty", "", "", "empty label"},
		{"root", ".", "", "empty label"},
		{"empty label", "a..b", "", "empty label"},
		{"leading dot", ".a", "", "empty label"},
		{"long label", label63 + "a.org", "", "label of 64 bytes exceeds 63"},
		{"long name", long255 + "a", "", "256 bytes exceed 255"},
		{"blank", "a b", "", "blank or control character"},
		{"control character", "a\nb", "", "blank or control character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendName([]byte("x"), tt.in)
			if string(got) != "x"+tt.want {
				t.Errorf("AppendName(%q) = %q, want %q", tt.in, got, "x"+tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("AppendName(%q): error %v, want %q", tt.in, err, tt.err)
			}
		})
	}
	if b, err := AppendName(nil, long255); err != nil || len(b) != 255 {
		t.Errorf("longest name: %d bytes, %v, want 255, nil", len(b), err)
	}
}

// FuzzAppendName: what is accepted reads back as the same name.
func FuzzAppendName(f *testing.F) {
	for _, s := range []string{"a.example.org", "lan.", "a..b", "\x00", "ü.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		b, err := AppendName(nil, name)
		if err != nil {
			if len(b) != 0 {
				t.Errorf("%q left in spite of %v", b, err)
			}
			return
		}
		var labels []string
		rest := b
		for rest[0] != 0 {
			labels = append(labels, string(rest[1:1+rest[0]]))
			rest = rest[1+rest[0]:]
		}
		if got := strings.Join(labels, "."); got != strings.TrimSuffix(name, ".") || len(rest) != 1 {
			t.Errorf("%q reads back as %q with %d bytes left", name, got, len(rest)-1)
		}
	})
}
