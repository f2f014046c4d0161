package sys

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childInfo is the part of siginfo_t that waitid(2) fills in. The union in it is
// aligned like a pointer.
type childInfo struct {
	signo, errno, code int32
	child              struct {
		_   [0]uintptr
		pid int32
	}
	_ [128 - 24]byte
}

// AwaitChild waits for the end of any child and gives its process ID, without
// reaping it: the next call may give the same one. It fails with ECHILD if there
// are no children.
func AwaitChild() (pid int, err error) {
	var info childInfo
	_, err = ignoringEINTR(func() (int, error) {
		return 0, unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT, nil)
	})
	if err != nil {
		return 0, fmt.Errorf("wait for a child: %w", err)
	}
	return int(info.child.pid), nil
}

// AwaitHangup waits until the other end of fd is gone, or fd cannot be waited for any
// more (POLLHUP, POLLERR and POLLNVAL of poll(2)). Data that comes does not count.
func AwaitHangup(fd int) error {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	_, err := ignoringEINTR(func() (int, error) { return unix.Poll(fds, -1) })
	return err
}

// IsInherited tells whether fd is a descriptor that came with the start of the program:
// not one of the Go runtime, which opens some before main (of cgroups, since 1.25), all
// of them close-on-exec.
func IsInherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}
