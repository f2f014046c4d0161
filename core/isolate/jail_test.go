package isolate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestJail(t *testing.T) {
	needsAllThreads(t)
	// Not below /tmp, which the jail covers.
	outside, err := os.MkdirTemp("/var/tmp", "jail") //nolint:usetesting // it gives a place below /tmp
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(outside) })
	c := child("jail")
	c.Env = append(c.Env, "OUTSIDE="+outside)
	inNewNamespaces(c, syscall.CLONE_NEWNS)
	run(t, c)
}

// checkJail shows a directory with a mount in it and a file elsewhere, and not a path
// that is missing.
func checkJail() error {
	outside, before := os.Getenv("OUTSIDE"), spinThreads(CapNetBindService)
	inner, file := filepath.Join(outside, "shown/inner"), filepath.Join(outside, "file")
	if err := errors.Join(os.MkdirAll(inner, 0o700), os.WriteFile(file, []byte("text"), 0o600)); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", inner, "tmpfs", 0, ""); err != nil {
		return err
	}
	shown := filepath.Dir(inner)
	if err := Jail([]string{shown, file, "/nowhere"}, CapNetBindService); err != nil {
		return err
	}
	for _, dir := range []string{"/", shown, inner} {
		if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); !errors.Is(err, syscall.EROFS) {
			return fmt.Errorf("make a directory in %s: got %v, want EROFS", dir, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "text" {
		return fmt.Errorf("file: got %q, %v, want its text", b, err)
	}
	names, err := filepath.Glob("/*")
	if err != nil || !slices.Equal(names, []string{"/var"}) {
		return fmt.Errorf("root directory: got %q, %v, want /var only", names, err)
	}
	for _, check := range before {
		if err := check(); err != nil {
			return err
		}
	}
	return checkBounding()
}

// checkBounding looks at the capabilities that no execve(2) gives back.
func checkBounding() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if want := b2i(uint64(1)<<c == CapNetBindService); err == nil && has != want {
			return fmt.Errorf("capability %d in the bounding set: got %d, want %d", c, has, want)
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forbidden are calls that the filter has to kill for, by the name of the scenario.
var forbidden = map[string]func(){
	"unshare": func() { _ = unix.Unshare(unix.CLONE_NEWNS) },
	"exec":    func() { _ = syscall.Exec("/bin/true", []string{"true"}, nil) },
	"prctl":   func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
	"mount":   func() { _ = unix.Mount("x", "/", "tmpfs", 0, "") },
	"other thread": func() {
		done := make(chan struct{})
		go func() {
			_ = unix.Chroot("/")
			close(done)
		}()
		<-done
	},
}

func TestFilterKills(t *testing.T) {
	needsAllThreads(t)
	for name := range forbidden {
		t.Run(name, func(t *testing.T) {
			c := child("filter")
			c.Env = append(c.Env, "FORBIDDEN="+name)
			out, err := c.CombinedOutput()
			if ws, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGSYS {
				t.Errorf("%v, %s, want the end by SIGSYS", err, out)
			}
			if !bytes.Contains(out, []byte("filtered\n")) {
				t.Errorf("%q: the end came too early", out)
			}
		})
	}
}

// checkFilter does what stays allowed, and then what is not.
func checkFilter() error {
	if err := FilterCalls(); err != nil {
		return err
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), "Seccomp:\t2") || !strings.Contains(string(b), "NoNewPrivs:\t1") {
		return fmt.Errorf("status:\n%s", b)
	}
	for range 20 { // threads, memory
		go func() { _ = make([]byte, 1<<20) }()
	}
	fmt.Println("filtered")
	forbidden[os.Getenv("FORBIDDEN")]()
	return errors.New("still alive")
}

func TestFilterIsShort(t *testing.T) {
	const limit = 4096 // BPF_MAXINSNS
	if n := len(filterProgram(unix.AUDIT_ARCH_X86_64)); n < 2*len(denied) || n > limit {
		t.Errorf("%d instructions, want at most %d", n, limit)
	}
}
