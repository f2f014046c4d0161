package netns

import (
	"os"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// procPath matches the paths that exist exactly as long as one process does.
// (The ones below /proc/PID/task depend on a thread, for which there is no pidfd
// before Linux 6.9.)
var procPath = regexp.MustCompile(`^/proc/([1-9][0-9]{0,9})/(ns|root)/`)

// OpenOwner opens a pidfd for the process that path hangs on, as
// /proc/PID/ns/net and /proc/PID/root/... do. It gives nil if path hangs on none
// or a pidfd cannot tell: there is no such process (opening path gives the
// reason), /proc shows another PID namespace than the caller's, or the kernel is
// older than 5.3.
//
// The caller opens it before path: if the PID is reused in between, the pidfd
// reports the end of the old process, which is an end of the namespace, too.
func OpenOwner(path string) *os.File {
	m := procPath.FindStringSubmatch(path)
	if m == nil || !ProcIsOurs() {
		return nil
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
}

// ProcIsOurs tells whether numbers in /proc are those of our PID namespace.
func ProcIsOurs() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}
