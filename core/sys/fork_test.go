package sys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func open(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// runShell runs a shell script by ForkExec, after edit changed the spec, and
// gives its output.
func runShell(t *testing.T, script string, edit func(*ForkSpec)) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd := int(w.Fd())
	s := ForkSpec{
		Path: "/bin/sh", UserNS: -1, Env: os.Environ(), Files: []int{fd},
		Argv: []string{"sh", "-c", fmt.Sprintf("exec >/proc/self/fd/%d; %s", fd, script)},
	}
	edit(&s)
	pid, err := ForkExec(s)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
		t.Fatalf("wait for child %d of ours: %v", pid, err)
	}
	if ws.ExitStatus() != 0 {
		t.Errorf("exit status: got %d, want 0 (output %q)", ws.ExitStatus(), out)
	}
	return strings.TrimSpace(string(out))
}

func readlink(t *testing.T, path string) string {
	t.Helper()
	s, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForkExecJoinsUserNamespace(t *testing.T) {
	ns := fmt.Sprintf("/proc/%d/ns/user", netnstest.Hold(t, syscall.CLONE_NEWUSER))
	got := runShell(t, "readlink /proc/self/ns/user; id -u", func(s *ForkSpec) { s.UserNS = open(t, ns) })
	if want := readlink(t, ns) + "\n0"; got != want {
		t.Errorf("user namespace and user: got %q, want %q", got, want)
	}
}

func TestForkExecIsFirstProcessOfNewPIDNamespace(t *testing.T) {
	ns := fmt.Sprintf("/proc/%d/ns/user", netnstest.Hold(t, syscall.CLONE_NEWUSER))
	got := runShell(t, "echo $$", func(s *ForkSpec) {
		s.UserNS = open(t, ns)
		s.Namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	})
	if got != "1" {
		t.Errorf("own process ID: got %q, want 1", got)
	}
}

func TestForkExecKeepsCapabilitiesOfUnmappedUser(t *testing.T) {
	user := open(t, fmt.Sprintf("/proc/%d/ns/user", netnstest.HoldUnmapped(t)))
	got := runShell(t, "grep CapEff /proc/self/status", func(s *ForkSpec) { s.UserNS = user })
	if strings.Contains(got, "0000000000000000") {
		t.Errorf("effective capabilities: got %q, want some", got)
	}
}

func TestForkExecDropsBoundingSet(t *testing.T) {
	ns := fmt.Sprintf("/proc/%d/ns/user", netnstest.Hold(t, syscall.CLONE_NEWUSER))
	for _, drop := range []bool{false, true} {
		got := runShell(t, "grep -E 'Cap(Eff|Bnd)' /proc/self/status", func(s *ForkSpec) {
			s.UserNS, s.DropBounding = open(t, ns), drop
		})
		var effective, bounding uint64
		if _, err := fmt.Sscanf(got, "CapEff: %x\nCapBnd: %x", &effective, &bounding); err != nil {
			t.Fatalf("capabilities %q: %v", got, err)
		}
		if (bounding == 0) != drop || effective == 0 {
			t.Errorf("drop %v: got effective %#x, bounding %#x", drop, effective, bounding)
		}
	}
}

func TestForkExecNewGroup(t *testing.T) {
	got := runShell(t, "test $(ps -o pgid= -p $$) = $$ && echo leader", func(s *ForkSpec) { s.NewGroup = true })
	if got != "leader" {
		t.Errorf("process group: got %q, want leader", got)
	}
}

func TestForkExecNewSession(t *testing.T) {
	got := runShell(t, "test $(ps -o sid= -p $$) = $$ && echo leader", func(s *ForkSpec) { s.NewSession = true })
	if got != "leader" {
		t.Errorf("session: got %q, want leader", got)
	}
}

func TestForkExecReportsStep(t *testing.T) {
	self := open(t, "/proc/self/ns/user")
	tests := []struct {
		name string
		edit func(*ForkSpec)
		step ForkStep
		want error
	}{
		{"own user namespace", func(s *ForkSpec) { s.UserNS = self }, StepUserns, unix.EINVAL},
		{"impossible flags", func(s *ForkSpec) { s.Namespaces = unix.CLONE_NEWNS | unix.CLONE_FS }, StepClone, unix.EINVAL},
		{"missing program", func(s *ForkSpec) { s.Path = "/nonexistent" }, StepExec, unix.ENOENT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := ForkSpec{Path: "/bin/true", Argv: []string{"true"}, UserNS: -1}
			tt.edit(&s)
			_, err := ForkExec(s)
			var fe *ForkError
			if !errors.As(err, &fe) || fe.Step != tt.step || !errors.Is(err, tt.want) {
				t.Errorf("error: got %v, want step %d with %v", err, tt.step, tt.want)
			}
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
				t.Errorf("children left behind: got %d, %v, want none", pid, err)
			}
		})
	}
}

func TestForkExecRefusesNUL(t *testing.T) {
	for _, s := range []ForkSpec{{Path: "a\x00b"}, {Argv: []string{"\x00"}}, {Env: []string{"\x00"}}} {
		if _, err := ForkExec(s); !errors.Is(err, unix.EINVAL) {
			t.Errorf("ForkExec(%+v): got %v, want EINVAL", s, err)
		}
	}
}
