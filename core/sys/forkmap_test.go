package sys

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// words makes one space of each run of white space.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// requireUserNamespaces skips, or fails, where the kernel refuses user namespaces.
func requireUserNamespaces(t *testing.T) { netnstest.Hold(t, syscall.CLONE_NEWUSER) }

func TestForkExecMapsIDs(t *testing.T) {
	requireUserNamespaces(t)
	uid, gid := os.Getuid(), os.Getgid()
	same := IDMap{UID: uid, GID: gid}
	tests := []struct {
		name       string
		outer, own *IDMap
		want       string
	}{
		{"one", nil, &IDMap{}, fmt.Sprintf("0 %d 1 0 %d 1 deny", uid, gid)},
		{"two", &same, &IDMap{}, fmt.Sprintf("0 %d 1 0 %d 1 deny", uid, gid)},
		{"two with other IDs", &IDMap{UID: 7, GID: 8}, &IDMap{UID: 9, GID: 10}, "9 7 1 10 8 1 deny"},
		{"unmapped", nil, nil, "allow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runShell(t, "cd /proc/self; cat uid_map gid_map setgroups", func(s *ForkSpec) {
				s.Namespaces, s.Outer, s.Map = syscall.CLONE_NEWUSER|syscall.CLONE_NEWNET, tt.outer, tt.own
			})
			if words(got) != tt.want {
				t.Errorf("maps: got %q, want %q", words(got), tt.want)
			}
		})
	}
}

func TestForkExecReportsFailedMap(t *testing.T) {
	requireUserNamespaces(t)
	negative := &IDMap{UID: -1}
	tests := []struct {
		name string
		spec ForkSpec
		step ForkStep
	}{
		{"outer", ForkSpec{Outer: negative}, StepOuter},
		{"inner", ForkSpec{Map: negative}, StepMap},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Path, tt.spec.Argv, tt.spec.UserNS = "/bin/true", []string{"true"}, -1
			tt.spec.Namespaces = syscall.CLONE_NEWUSER
			_, err := ForkExec(tt.spec)
			var fe *ForkError
			if !errors.As(err, &fe) || fe.Step != tt.step || !errors.Is(err, unix.EINVAL) {
				t.Errorf("error: got %v, want step %d with EINVAL", err, tt.step)
			}
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid > 0 {
				t.Errorf("child left behind: %d, %v", pid, err)
			}
		})
	}
}

func TestForkExecSetsDescriptorLimit(t *testing.T) {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	got := runShell(t, "ulimit -Sn; ulimit -Hn", func(s *ForkSpec) {
		s.NoFile = &syscall.Rlimit{Cur: 99, Max: now.Max}
	})
	if want := fmt.Sprintf("99\n%d", now.Max); got != want {
		t.Errorf("limits: got %q, want %q", got, want)
	}
}
