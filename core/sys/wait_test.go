package sys

import (
	"errors"
	"os/exec"
	"testing"
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
