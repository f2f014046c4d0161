package daemon

import (
	"log/slog"
	"os"
	"testing"
	"time"
)

func TestParseIdentity(t *testing.T) {
	tests := []struct {
		name, spec string
		uid, gid   int
		ok         bool
	}{
		{"number", "1234", 1234, 1234, true},
		{"hexadecimal", "0x10", 16, 16, true},
		{"octal", "010:011", 8, 9, true},
		{"root", "0", 0, 0, true},
		{"number and number", "1234:5678", 1234, 5678, true},
		{"login", "root", 0, 0, true},
		{"login and group", "root:root", 0, 0, true},
		{"number and group", "7:root", 7, 0, true},
		{"unknown login", "no-such-login", 0, 0, false},
		{"unknown group", "root:no-such-group", 0, 0, false},
		{"empty group", "1:", 0, 0, false},
		{"empty", "", 0, 0, false},
		{"no ID", "4294967295", 0, 0, false},
		{"too large", "4294967296", 0, 0, false},
		{"negative", "-1", 0, 0, false},
		{"literal of Go", "0b1", 0, 0, false},
		{"trailing garbage", "12x", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := ParseIdentity(tt.spec)
			if want := (Identity{UID: tt.uid, GID: tt.gid}); (err == nil) != tt.ok || id != want {
				t.Errorf("ParseIdentity(%q): got %v, %v, want %v, ok %v", tt.spec, id, err, want, tt.ok)
			}
		})
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("0x10:root")
	f.Add("nobody")
	f.Fuzz(func(t *testing.T, spec string) {
		if id, err := ParseIdentity(spec); err == nil && (id.UID < 0 || id.GID < 0) {
			t.Errorf("ParseIdentity(%q): got %v", spec, id)
		}
	})
}

func TestOrdinaryUserStays(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("is root")
	}
	log, _ := newLogger(slog.LevelInfo, time.Now(), nil)
	if got, want := wantedUser(nil, log), (Identity{UID: os.Getuid(), GID: os.Getgid()}); got != want {
		t.Errorf("user: got %v, want our own, %v", got, want)
	}
	asked := Identity{UID: 7, GID: 8}
	if got := wantedUser(&asked, log); got != asked {
		t.Errorf("user with --runas: got %v, want %v", got, asked)
	}
}
