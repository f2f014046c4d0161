package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/sys"
)

func TestExitStatus(t *testing.T) {
	tests := []struct {
		name string
		ws   syscall.WaitStatus
		want int
	}{
		{"success", 0, 0},
		{"status", 7 << 8, 7},
		{"killed", syscall.WaitStatus(syscall.SIGKILL), 137},
		{"terminated with core", syscall.WaitStatus(syscall.SIGTERM) | 0x80, 143},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitStatus(tt.ws); got != tt.want {
				t.Errorf("exitStatus(%#x): got %d, want %d", tt.ws, got, tt.want)
			}
		})
	}
}

func TestCommandStatusAfterInterrupt(t *testing.T) {
	killed := syscall.WaitStatus(syscall.SIGKILL)
	f := front{interrupt: syscall.SIGINT}
	if got := f.commandStatus(killed); got != 130 {
		t.Errorf("killed for SIGINT: got %d, want 130", got)
	}
	if got := f.commandStatus(3 << 8); got != 3 {
		t.Errorf("ended by itself: got %d, want 3", got)
	}
	f.interrupt = 0
	if got := f.commandStatus(killed); got != 137 {
		t.Errorf("killed by somebody else: got %d, want 137", got)
	}
}

func TestDaemonErrorTexts(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{
			"user namespace", &sys.ForkError{Step: sys.StepUserns, Errno: syscall.EPERM},
			"Couldn't enter user namespace /u: Operation not permitted",
		},
		{
			"no rights", &sys.ForkError{Step: sys.StepClone, Errno: syscall.EPERM},
			"Couldn't switch to pasta namespaces: Operation not permitted",
		},
		{
			"program", fmt.Errorf("x: %w", &sys.ForkError{Step: sys.StepExec, Errno: syscall.ENOENT}),
			"Couldn't start daemon: No such file or directory",
		},
		{"other", syscall.EMFILE, "Couldn't start daemon: Too many open files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := daemonError(tt.err, "/u").Error(); got != tt.want {
				t.Errorf("text: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWorded(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nil", nil, "<nil>"},
		{"errno at the end", fmt.Errorf("open tap: %w", syscall.EPERM), "open tap: Operation not permitted"},
		{"errno in the middle", fmt.Errorf("%w, extended message", syscall.EPERM), "operation not permitted, extended message"},
		{"no errno", errors.New("bad"), "bad"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(worded(tt.err)); got != tt.want {
				t.Errorf("worded: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOpenUserns(t *testing.T) {
	if f, err := openUserns("/proc/self/ns/user"); f != nil || err != nil {
		t.Errorf("our own: got %v, %v, want nil, as it cannot be joined", f, err)
	}
	_, err := openUserns("/proc/2147480000/ns/user")
	want := "Couldn't open user namespace /proc/2147480000/ns/user: No such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("missing: got %v, want %s", err, want)
	}
}

func TestCheckNetns(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/proc/self/ns/net", "<nil>"},
		{"/run/netns/none", "Couldn't open network namespace /run/netns/none: No such file or directory"},
		{"/etc/passwd", "Couldn't open network namespace /etc/passwd: Not a network namespace"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(checkNetns(tt.path)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
}

func TestCreateTruncates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := read(t, path); got != "" {
		t.Errorf("content: got %q, want none", got)
	}
	if f, err := create(""); f != nil || err != nil {
		t.Errorf("no path: got %v, %v, want nil", f, err)
	}
}

func TestCreateRegular(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, want string }{
		{"new", filepath.Join(dir, "new"), "<nil>"},
		{"FIFO", fifo, "Not a regular file"},
		{"device", os.DevNull, "Not a regular file"},
		{"none", "", "<nil>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := createRegular(tt.path)
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("error: got %s, want %s", got, tt.want)
			}
			if want := tt.name == "new"; (f != nil) != want {
				t.Errorf("file: got %v, want one: %v", f, want)
			}
			closeFile(f)
		})
	}
}

func TestCheckProc(t *testing.T) {
	for _, target := range []Target{{Spawn: true}, {PID: 1}, {Netns: "/run/netns/x"}} {
		if err := checkProc(&target); err != nil {
			t.Errorf("procfs of our own for %+v: got %v, want nil", target, err)
		}
	}
}

func TestStubHostname(t *testing.T) {
	tests := []struct{ name, old, want string }{
		{"short", "vm", "pasta-vm"},
		{"empty", "", "pasta-"},
		{"longest", strings.Repeat("x", 64), "pasta-" + strings.Repeat("x", 58)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := stubHostname(tt.old); got != tt.want {
				t.Errorf("stubHostname(%q): got %q, want %q", tt.old, got, tt.want)
			}
		})
	}
}

func TestResolveCommand(t *testing.T) {
	tests := []struct {
		name, shell string
		command     []string
		path        string
		argv        []string
	}{
		{"command", "/bin/zsh", []string{"ls", "-l"}, "ls", []string{"ls", "-l"}},
		{"login shell", "/bin/zsh", nil, "/bin/zsh", []string{"-/bin/zsh"}},
		{"no shell", "", nil, "/bin/sh", []string{"-/bin/sh"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SHELL", tt.shell)
			path, argv := resolveCommand(tt.command)
			if path != tt.path || !cmp.Equal(argv, tt.argv) {
				t.Errorf("command: got %q %q, want %q %q", path, argv, tt.path, tt.argv)
			}
		})
	}
}

func TestExecuteErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/noexec", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, command string
		want          error
	}{
		{"not in PATH", "no-such-program", syscall.ENOENT},
		{"no such path", dir + "/missing", syscall.ENOENT},
		{"not executable", dir + "/noexec", syscall.EACCES},
		{"directory", dir, syscall.EACCES},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := execute(tt.command, []string{tt.command}); !errors.Is(err, tt.want) {
				t.Errorf("execute %s: got %v, want %v", tt.command, err, tt.want)
			}
		})
	}
}
