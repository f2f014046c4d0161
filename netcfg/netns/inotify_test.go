package netns

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// event builds one inotify event as the kernel does, its name padded to 16 bytes.
func event(mask uint32, name string) []byte {
	b := make([]byte, unix.SizeofInotifyEvent, unix.SizeofInotifyEvent+16)
	binary.NativeEndian.PutUint32(b[4:], mask)
	if name != "" {
		b = append(b, make([]byte, 16)...)
		copy(b[unix.SizeofInotifyEvent:], name)
		binary.NativeEndian.PutUint32(b[12:], 16)
	}
	return b
}

func TestEndsName(t *testing.T) {
	other := event(unix.IN_DELETE, "ns2")
	tests := []struct {
		name   string
		events []byte
		want   bool
	}{
		{"nothing", nil, false},
		{"deleted", event(unix.IN_DELETE, "ns"), true},
		{"renamed", event(unix.IN_MOVED_FROM, "ns"), true},
		{"another name", other, false},
		{"after another name", append(other, event(unix.IN_DELETE, "ns")...), true},
		{"directory gone", event(unix.IN_IGNORED, ""), true},
		{"unmounted", event(unix.IN_UNMOUNT, ""), true},
		{"events lost", event(unix.IN_Q_OVERFLOW, ""), true},
		{"cut header", event(unix.IN_DELETE, "ns")[:10], false},
		{"cut name", event(unix.IN_DELETE, "ns")[:20], false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := endsName(tt.events, "ns"); got != tt.want {
				t.Errorf("endsName: got %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzEndsName(f *testing.F) {
	f.Add(event(unix.IN_DELETE, "ns"), "ns")
	f.Add(append(event(unix.IN_MOVED_FROM, "ns2"), event(unix.IN_Q_OVERFLOW, "")...), "ns")
	f.Fuzz(func(t *testing.T, events []byte, name string) {
		if endsName(events, name) && len(events) < unix.SizeofInotifyEvent {
			t.Errorf("endsName(%x, %q): got true of less than one event", events, name)
		}
	})
}
