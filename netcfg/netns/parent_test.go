package netns

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func TestOpenParent(t *testing.T) {
	f, err := OpenParent(fmt.Sprintf("/proc/%d/ns/user", netnstest.HoldUnmapped(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if path := fmt.Sprintf("/proc/self/fd/%d", f.Fd()); !Same(path, "/proc/self/ns/user") {
		t.Errorf("parent: got another user namespace than ours")
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor: got flags %#x, %v, want close-on-exec", flags, err)
	}
}

func TestOpenParentFails(t *testing.T) {
	tests := []struct {
		path string
		want error
	}{
		{"/proc/self/ns/user", unix.EPERM}, // the one around ours is not our business
		{"/dev/null", unix.ENOTTY},
		{"/nonexistent", unix.ENOENT},
	}
	for _, tt := range tests {
		if _, err := OpenParent(tt.path); !errors.Is(err, tt.want) {
			t.Errorf("OpenParent(%q): got %v, want %v", tt.path, err, tt.want)
		}
	}
}
