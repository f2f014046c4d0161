package netns

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenOwner opens a pidfd for the process that path hangs on, as
// /proc/PID/ns/net and /proc/PID/root/... do. It gives nil if path hangs on none
// or a pidfd cannot tell: there is no such process (opening path gives the
// reason), /proc shows another PID namespace than the caller's, or the kernel is
// older than 5.3.
//
// The caller opens it before path: if the PID is reused in between, the pidfd
// reports the end of the old process, which is an end of the namespace, too.
func OpenOwner(path string) *os.File {
	pid, ok := ownerPID(path)
	if !ok || !ProcIsOurs() {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
}

// ownerPID returns the process that a path of the form /proc/PID/ns/... or
// /proc/PID/root/... exists exactly as long as. (The ones below /proc/PID/task
// depend on a thread, for which there is no pidfd before Linux 6.9.)
func ownerPID(path string) (pid int, ok bool) {
	rest, inProc := strings.CutPrefix(path, "/proc/")
	number, rest, _ := strings.Cut(rest, "/")
	if !inProc || !strings.HasPrefix(rest, "ns/") && !strings.HasPrefix(rest, "root/") {
		return 0, false
	}
	n, err := strconv.ParseInt(number, 10, 32)
	// Procfs writes a number in one way only: neither "+1" nor "01" is there.
	return int(n), err == nil && n > 0 && strconv.FormatInt(n, 10) == number
}

// ProcIsOurs tells whether numbers in /proc are those of our PID namespace.
func ProcIsOurs() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}
