package sys

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetFilter installs a seccomp filter in all threads of the process (seccomp(2),
// SECCOMP_FILTER_FLAG_TSYNC). The calling thread has no-new-privs set, or
// CAP_SYS_ADMIN. ESRCH: a thread has a filter that is in the way.
func SetFilter(program []unix.SockFilter) syscall.Errno {
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	failed, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(program)
	if errno == 0 && failed != 0 { // the ID of that thread
		errno = syscall.ESRCH
	}
	return errno
}
