package sys

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestChildInfoIsSiginfo(t *testing.T) {
	var info childInfo
	if got, want := unsafe.Sizeof(info), unsafe.Sizeof(unix.Siginfo{}); got != want {
		t.Errorf("size: got %d, want %d", got, want)
	}
}

func TestAwaitChildDoesNotReap(t *testing.T) {
	if pid, err := AwaitChild(); !errors.Is(err, unix.ECHILD) {
		t.Fatalf("without children: got %d, %v, want ECHILD", pid, err)
	}
	c := exec.Command("true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if pid, err := AwaitChild(); err != nil || pid != c.Process.Pid {
			t.Errorf("ended child: got %d, %v, want %d", pid, err, c.Process.Pid)
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("child afterwards: got %v, want it still to be reaped", err)
	}
}

func TestAwaitHangup(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(r.Fd())
	done := make(chan error, 1)
	go func() { done <- AwaitHangup(fd) }()
	if _, err := w.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Errorf("data ended the wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.Close()
	if err := AwaitHangup(fd); err != nil {
		t.Errorf("closed descriptor: %v, want the end at once", err)
	}
}

func TestIsInherited(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	fd := int(f.Fd())
	if IsInherited(fd) {
		t.Error("a descriptor of our own counts as inherited")
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	if !IsInherited(fd) {
		t.Error("one that execve(2) leaves open does not count as inherited")
	}
	f.Close()
	if IsInherited(fd) {
		t.Error("a closed one counts as inherited")
	}
}
