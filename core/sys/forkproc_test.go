package sys

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// lockProc has a spec ask for procfs that cannot be unmounted.
func lockProc(s *ForkSpec) {
	s.Outer, s.Map, s.LockProc = &IDMap{UID: os.Getuid(), GID: os.Getgid()}, &IDMap{}, true
	s.Namespaces = lockedProcFlags
}

// TestForkExecLocksProc: the first process of a PID namespace sees small numbers only
// in procfs, whatever it does.
func TestForkExecLocksProc(t *testing.T) {
	requireUserNamespaces(t)
	const small = `ours() { test "$(readlink "$1/self")" -lt 20; }; `
	tests := []struct{ name, script string }{
		{"shows the new namespace", "ours /proc"},
		{"cannot be unmounted", "! umount /proc && ! umount -l /proc && ! mount --move /proc /mnt && ours /proc"},
		{"nor in another mount namespace", "unshare -m sh -c '! umount -l /proc' && ours /proc"},
		{"can be mounted elsewhere", "mount -t proc proc /tmp && ours /tmp"},
		{"can be covered", "mount -t proc proc /proc && umount /proc && ours /proc"},
		{"can be written", "echo 0 0 >/proc/sys/net/ipv4/ping_group_range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runShell(t, "exec 2>/dev/null; "+small+tt.script, func(s *ForkSpec) {
				lockProc(s)
				s.Namespaces |= syscall.CLONE_NEWNET
			})
		})
	}
}

// TestLockedProcStaysInside: what is mounted beside it does not spread to us.
func TestLockedProcStaysInside(t *testing.T) {
	requireUserNamespaces(t)
	dir := t.TempDir()
	runShell(t, "mount -t tmpfs tmpfs "+dir+" && touch "+dir+"/mark", lockProc)
	if _, err := os.Stat(dir + "/mark"); err == nil {
		t.Error("a mount in the namespace is seen outside")
	}
}

func TestLockedProcNeedsNamespaces(t *testing.T) {
	tests := []struct {
		name string
		edit func(*ForkSpec)
	}{
		{"no outer user namespace", func(s *ForkSpec) { s.Outer = nil }},
		{"no PID namespace", func(s *ForkSpec) { s.Namespaces &^= syscall.CLONE_NEWPID }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := ForkSpec{Path: "/bin/true", Argv: []string{"true"}, UserNS: -1}
			lockProc(&s)
			tt.edit(&s)
			if _, err := ForkExec(s); !errors.Is(err, syscall.EINVAL) || !strings.HasPrefix(err.Error(), "lock procfs: ") {
				t.Errorf("got %v, want EINVAL", err)
			}
		})
	}
}
