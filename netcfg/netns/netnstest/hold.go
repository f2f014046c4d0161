package netnstest

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Hold starts a process in new namespaces of these kinds, one of them for users,
// where it is root. It lives until the end of the test.
func Hold(t *testing.T, flags uintptr) (pid int) {
	t.Helper()
	return hold(t, &syscall.SysProcAttr{
		Cloneflags:  flags,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	})
}

// HoldUnmapped is Hold with a user namespace that nobody is mapped into.
func HoldUnmapped(t *testing.T) (pid int) {
	t.Helper()
	return hold(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER})
}

func hold(t *testing.T, attr *syscall.SysProcAttr) (pid int) {
	t.Helper()
	c := exec.Command("cat")
	c.SysProcAttr = attr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		Lacks(t, "create namespaces: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("holder of namespaces: %v", err)
		}
	})
	return c.Process.Pid
}
