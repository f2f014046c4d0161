package isolate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// childEnv names the scenario that a re-executed test binary runs.
const childEnv = "PASTA_ISOLATE_CHILD"

// scenarios run in a process of their own, because they cannot be undone. What
// they return is an error for the test.
var scenarios = map[string]func() error{
	"sandbox": checkSandbox,
	"chroot":  checkChrootFallback,

	"jail":     checkJail,
	"filter":   checkFilter,
	"norights": checkWithoutRights,
	"close":    checkCloseInherited,
	"stdio":    checkReplaceStdio,
	"parent":   endAfterChild,
	"die":      dieWithParent,
	"user":     checkBecomeUser,
}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	if err := scenarios[name](); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child prepares this test binary to run a scenario.
func child(name string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), childEnv+"="+name)
	return c
}

// inNewNamespaces lets c run as user 0 of a new user namespace.
func inNewNamespaces(c *exec.Cmd, flags uintptr) {
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
}

// run runs c, which has to succeed.
func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	out, err := c.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		netnstest.Lacks(t, "create namespaces: %v", err)
	}
	if err != nil {
		t.Errorf("scenario: %v\n%s", err, out)
	}
}

// needsAllThreads skips a test whose system calls on all threads need a program without
// cgo, which the race detector uses.
func needsAllThreads(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("needs a program without cgo, which the race detector links; runs in the other builds")
	}
}

func TestSandbox(t *testing.T) {
	needsAllThreads(t)
	c := child("sandbox")
	inNewNamespaces(c, syscall.CLONE_NEWNS)
	run(t, c)
}

func checkSandbox() error {
	before := spinThreads(CapNetBindService | CapSysAdmin)
	if err := Sandbox(CapNetBindService|CapSysAdmin, false); err != nil {
		return err
	}
	names, err := os.ReadDir("/")
	if err != nil || len(names) != 0 {
		return fmt.Errorf("root directory: got %v, %v, want it empty", names, err)
	}
	if err := os.Mkdir("/x", 0o700); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("make a directory: got %v, want EROFS", err)
	}
	if on, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || on != 0 {
		return fmt.Errorf("dumpable: got %d, %v, want 0", on, err)
	}
	for _, check := range before {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func TestChrootFallback(t *testing.T) {
	c := child("chroot")
	inNewNamespaces(c, syscall.CLONE_NEWNS)
	run(t, c)
}

// checkChrootFallback plays a kernel that refuses to pivot, as it does when the root is
// an initramfs.
func checkChrootFallback() error {
	refuse := func(string, string) error { return syscall.EINVAL }
	if err := mountEmptyRoot(); err != nil {
		return err
	}
	if err := enterEmptyRoot(refuse, false); !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("without fallback: got %v, want EINVAL", err)
	}
	if err := enterEmptyRoot(refuse, true); err != nil {
		return fmt.Errorf("with fallback: %w", err)
	}
	names, err := os.ReadDir("/")
	if err != nil || len(names) != 0 {
		return fmt.Errorf("root directory: got %v, %v, want it empty", names, err)
	}
	return nil
}

// spinThreads makes threads before the sandbox. The functions that it gives
// check afterwards that each has the capabilities want, and no way to more.
func spinThreads(want uint64) (checks []func() error) {
	var started sync.WaitGroup
	for range 4 {
		work, result := make(chan struct{}), make(chan error)
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			<-work
			result <- checkThread(want)
		}()
		checks = append(checks, func() error { close(work); return <-result })
	}
	started.Wait()
	return checks
}

func checkThread(want uint64) error {
	caps, err := sys.Capabilities()
	if err != nil || caps != want {
		return fmt.Errorf("capabilities: got %#x, %v, want %#x", caps, err, want)
	}
	if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || on != 1 {
		return fmt.Errorf("no new privileges: got %d, %v, want 1", on, err)
	}
	return nil
}

func TestSandboxWithoutRights(t *testing.T) {
	c := child("norights")
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	run(t, c)
}

func checkWithoutRights() error {
	if err := Sandbox(0, false); !errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("sandbox of an ordinary user: got %v, want EPERM", err)
	}
	return nil
}

func TestCloseInherited(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	c := child("close")
	c.ExtraFiles = []*os.File{null, null, null}
	run(t, c)
}

func checkCloseInherited() error {
	own, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	if err := CloseInherited(4); err != nil {
		return err
	}
	for fd, want := range map[int]bool{0: true, 1: true, 2: true, 3: false, 4: true, 5: false, int(own.Fd()): true} {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if (err == nil) != want {
			return fmt.Errorf("descriptor %d: got open %v, want %v", fd, err == nil, want)
		}
	}
	return nil
}

func TestReplaceStdio(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := child("stdio")
	c.Stdout, c.Stderr = w, w
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	held, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.ExtraFiles = []*os.File{held}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	held.Close()
	// The end of file has to come while the process goes on.
	if out, err := io.ReadAll(r); err != nil || string(out) != "before" {
		t.Errorf("streams: got %q, %v, want what was written before", out, err)
	}
	if _, err := in.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("standard input: got %v, want EPIPE", err)
	}
	hold.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

func checkReplaceStdio() error {
	fmt.Print("before")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := ReplaceStdio(null); err != nil {
		return err
	}
	fmt.Print("after")
	_, err = os.NewFile(3, "held").Read(make([]byte, 1)) // until the test has seen it
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// TestDieWith sees the end of the grandchild as the end of file on the pipe that
// it holds.
func TestDieWith(t *testing.T) {
	c := child("parent")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(10*time.Second, func() { out.Close() }).Stop()
	if got, err := io.ReadAll(out); err != nil || string(got) != "tied" {
		t.Errorf("grandchild: got %q, %v, want it to end with its parent", got, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// endAfterChild starts the scenario "die" and ends when that is tied to it.
func endAfterChild() error {
	c := child("die")
	out, err := c.StderrPipe()
	if err != nil {
		return err
	}
	c.Stdout = os.Stdout
	if err := c.Start(); err != nil {
		return err
	}
	_, err = out.Read(make([]byte, 1))
	return err
}

func dieWithParent() error {
	if err := DieWith(syscall.SIGKILL); err != nil {
		return err
	}
	fmt.Print("tied")
	fmt.Fprint(os.Stderr, "x")
	select {}
}

func TestBecomeUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	run(t, child("user"))
}

func checkBecomeUser() error {
	if err := DropGroups(); err != nil {
		return err
	}
	if err := BecomeUser(1234, 1235); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for _, want := range []string{"Uid:\t1234\t1234\t1234\t1234", "Gid:\t1235\t1235\t1235\t1235", "Groups:\t \n"} {
		if !strings.Contains(string(status), want) {
			return fmt.Errorf("status: got\n%swant %q in it", status, want)
		}
	}
	if _, err := os.Readlink("/proc/self/ns/user"); err != nil {
		return fmt.Errorf("own namespace is out of reach: %w", err)
	}
	if err := BecomeUser(1234, 1235); err != nil {
		return fmt.Errorf("once more: %w", err)
	}
	if err := BecomeUser(0, 0); !errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("back to root: got %v, want EPERM", err)
	}
	return nil
}

func TestIsIdentityMap(t *testing.T) {
	tests := []struct {
		name, uidMap string
		want         bool
	}{
		{"initial", "         0          0 4294967295\n", true},
		{"one ID", "         0       1000          1\n", false},
		{"rootless engine", "0 1000 1\n1 100000 65536\n", false},
		{"not set yet", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := isIdentityMap(tt.uidMap); got != tt.want {
				t.Errorf("isIdentityMap(%q): got %v, want %v", tt.uidMap, got, tt.want)
			}
		})
	}
}
