package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// holder starts a process in a new network namespace; ending its standard
// input ends it.
func holder(t *testing.T) (c *exec.Cmd, end func()) {
	t.Helper()
	c = exec.Command("cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() { in.Close(); _ = c.Wait() }
	t.Cleanup(end)
	return c, end
}

func nsOf(c *exec.Cmd) string { return fmt.Sprintf("/proc/%d/ns/net", c.Process.Pid) }

func current(t *testing.T) string {
	t.Helper()
	s, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// do runs f in the network namespace ns, on a thread of its own.
func do(ns *os.File, f func() error) error {
	th, err := NewThread(ns)
	if err != nil {
		return err
	}
	defer th.Close()
	return th.Do(f)
}

func TestDoRunsInside(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		c, _ := holder(t)
		ns, err := Open(nsOf(c))
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		before, want := current(t), ""
		if want, err = os.Readlink(nsOf(c)); err != nil {
			t.Fatal(err)
		}
		var got string
		err = do(ns, func() error { got = current(t); return syscall.ENOTTY })
		if !errors.Is(err, syscall.ENOTTY) {
			t.Errorf("error: got %v, want that of the function", err)
		}
		if got != want {
			t.Errorf("namespace inside: got %s, want %s", got, want)
		}
		for range 20 { // threads of other goroutines stay outside
			if err := func() error { _, err := net.Interfaces(); return err }(); err != nil {
				t.Fatal(err)
			}
			done := make(chan string)
			go func() { done <- current(t) }()
			if now := <-done; now != before {
				t.Fatalf("namespace afterwards: got %s, want %s", now, before)
			}
		}
	})
}

func TestThreadKeepsNamespace(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		c, end := holder(t)
		ns, err := Open(nsOf(c))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.Readlink(nsOf(c))
		if err != nil {
			t.Fatal(err)
		}
		th, err := NewThread(ns)
		if err != nil {
			t.Fatal(err)
		}
		defer th.Close()
		ns.Close()
		end()
		for range 3 {
			var got string
			if err := th.Do(func() error { got = current(t); return nil }); err != nil || got != want {
				t.Errorf("namespace on thread: got %s, %v, want %s", got, err, want)
			}
		}
	})
}

func TestEnterKeepsErrno(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := do(f, func() error { return nil }); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("enter /dev/null: got %v, want EINVAL", err)
	}
}

func TestOpenTellsNamespacesFromOtherFiles(t *testing.T) {
	fifo := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		want error
	}{
		{"/proc/self/ns/net", nil},
		{"/proc/self/ns/user", ErrNotNetns},
		{"/proc/self/status", ErrNotNetns},
		{os.DevNull, ErrNotNetns},
		{t.TempDir(), ErrNotNetns},
		{fifo, ErrNotNetns},
		{"/nonexistent/net", syscall.ENOENT},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			f, err := Open(tt.path)
			if !errors.Is(err, tt.want) || (f != nil) != (tt.want == nil) {
				t.Errorf("Open(%q): got %v, %v, want error %v", tt.path, f, err, tt.want)
			}
			if f != nil {
				f.Close()
			}
		})
	}
}

func TestSame(t *testing.T) {
	self := fmt.Sprintf("/proc/%d/ns/user", os.Getpid())
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"same", self, "/proc/self/ns/user", true},
		{"other kind", self, "/proc/self/ns/net", false},
		{"missing first", "/nonexistent", self, false},
		{"missing second", self, "/nonexistent", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Same(tt.a, tt.b); got != tt.want {
				t.Errorf("Same(%s, %s): got %v, want %v", tt.a, tt.b, got, tt.want)
			}
		})
	}
}

// ends runs w.Wait and gives a channel with its result.
func ends(w *Watch) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- w.Wait()
		w.Close()
	}()
	return done
}

func wantEnd(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("wait: got %v, want nil", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("wait: no end after 10 s")
	}
}

func TestWatchUnlinkedName(t *testing.T) {
	path := t.TempDir() + "/ns"
	for _, p := range []string{path, path + "2"} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := NewWatch(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.events < 0 || w.Name() != "ns" {
		t.Fatalf("watch: got inotify %d of %q, want one of ns", w.events, w.Name())
	}
	if w.dir >= 0 {
		t.Error("directory is kept open, want events only")
	}
	done := ends(w)
	if err := os.Remove(path + "2"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("another name removed: watch ended with %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, done)
}

func TestWatchDirectoryGoes(t *testing.T) {
	dir := t.TempDir() + "/dir"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := NewWatch(dir+"/ns", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.ended = false // as if the name was somewhere else
	done := ends(w)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, done)
}

func TestWatchNameGoneBefore(t *testing.T) {
	w, err := NewWatch(t.TempDir()+"/never", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEnd(t, ends(w))
}

func TestWatchProcess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pidfd  bool
		suffix string
	}{
		{"by pidfd", true, "/ns/net"},
		{"by timer", false, "/ns/net"},
		{"by pidfd behind its root", true, "/root/tmp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := exec.Command("cat")
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			path := fmt.Sprintf("/proc/%d%s", c.Process.Pid, tt.suffix)
			var owner *os.File
			if tt.pidfd {
				if owner = OpenOwner(path); owner == nil {
					t.Fatal("owner: got nil, want a pidfd")
				}
			}
			w, err := NewWatch(path, owner)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := w.dir >= 0, !tt.pidfd; got != want {
				t.Errorf("directory kept open: got %v, want %v", got, want)
			}
			done := ends(w)
			in.Close()
			if err := c.Wait(); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, done)
		})
	}
}

func TestWatchMissingDirectory(t *testing.T) {
	if _, err := NewWatch("/nonexistent/ns", nil); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("NewWatch: got %v, want ENOENT", err)
	}
}

func TestOwnerPID(t *testing.T) {
	tests := []struct {
		path string
		want int // 0: no owner
	}{
		{"/proc/4711/ns/net", 4711},
		{"/proc/4711/root/run/netns/x", 4711},
		{"/proc/2147483647/ns/", 2147483647},
		{"/proc/2147483648/ns/net", 0}, // would be a negative PID
		{"/proc/4294967297/ns/net", 0}, // would be process 1
		{"/proc/99999999999999999999/ns/net", 0},
		{"/proc/04711/ns/net", 0},
		{"/proc/+4711/ns/net", 0},
		{"/proc/-1/ns/net", 0},
		{"/proc/0/ns/net", 0},
		{"/proc//ns/net", 0},
		{"/proc/self/ns/net", 0},
		{"/proc/4711/ns", 0},
		{"/proc/4711/root", 0},
		{"/proc/4711/rootless/x", 0},
		{"/proc/4711/task/4711/ns/net", 0},
		{"/proc/4711", 0},
		{"/mnt/proc/4711/ns/net", 0},
		{"proc/4711/ns/net", 0},
		{"", 0},
	}
	for _, tt := range tests {
		if pid, ok := ownerPID(tt.path); ok != (tt.want != 0) || ok && pid != tt.want {
			t.Errorf("ownerPID(%q) = %d, %v, want %d", tt.path, pid, ok, tt.want)
		}
	}
}

func TestOpenOwner(t *testing.T) {
	self := os.Getpid()
	tests := []struct {
		name, path string
		want       bool
	}{
		{"namespace of process", fmt.Sprintf("/proc/%d/ns/net", self), true},
		{"behind root of process", fmt.Sprintf("/proc/%d/root/run/netns", self), true},
		{"thread", fmt.Sprintf("/proc/%d/task/%d/ns/net", self, self), false},
		{"self", "/proc/self/ns/net", false},
		{"file", "/run/netns/x", false},
		{"zero", "/proc/0/ns/net", false},
		{"no such process", "/proc/1999999999/ns/net", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := OpenOwner(tt.path)
			if (f != nil) != tt.want {
				t.Errorf("OpenOwner(%s): got %v, want pidfd %v", tt.path, f, tt.want)
			}
			if f != nil {
				f.Close()
			}
		})
	}
}
