package daemon

import (
	"os"
	"testing"
	"time"
)

func TestParseRunAs(t *testing.T) {
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
			uid, gid, err := parseRunAs(tt.spec)
			if (err == nil) != tt.ok || (tt.ok && (uid != tt.uid || gid != tt.gid)) {
				t.Fatalf("parseRunAs(%q): got %d:%d, %v, want %d:%d, ok %v", tt.spec, uid, gid, err, tt.uid, tt.gid, tt.ok)
			}
			if err != nil && err.Error() != "Invalid --runas option: "+tt.spec {
				t.Errorf("error: got %q", err)
			}
		})
	}
}

func FuzzParseRunAs(f *testing.F) {
	f.Add("0x10:root")
	f.Add("nobody")
	f.Fuzz(func(t *testing.T, spec string) {
		if uid, gid, err := parseRunAs(spec); err == nil && (uid < 0 || gid < 0) {
			t.Errorf("parseRunAs(%q): got %d:%d", spec, uid, gid)
		}
	})
}

func TestOrdinaryUserStays(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("is root")
	}
	log, _ := newLogger(&Options{}, time.Now(), nil)
	uid, gid, err := wantedUser("", log)
	if err != nil || uid != os.Getuid() || gid != os.Getgid() {
		t.Errorf("user: got %d:%d, %v, want our own", uid, gid, err)
	}
}
