package coretest

import (
	"os"
	"strconv"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
)

// openFDs gives the numbers of all descriptors, the one for reading them included.
func openFDs(t testing.TB) (fds []int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// Descriptors is the number of descriptors that the process has.
func Descriptors(t testing.TB) int {
	t.Helper()
	return len(openFDs(t)) - 1
}

// FirstFree gives the number of the next new descriptor, after which all higher ones
// follow: the kernel gives the lowest, so the gaps below are filled until the test ends.
func FirstFree(t testing.TB) int {
	t.Helper()
	top := 0
	for _, fd := range openFDs(t) {
		top = max(top, fd+1)
	}
	for {
		fd, errno := sys.Placeholder()
		if errno != 0 {
			t.Fatal(errno)
		}
		if fd >= top {
			sys.Close(fd)
			return fd
		}
		t.Cleanup(func() { sys.Close(fd) })
	}
}
