package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PageSize is the unit of a pipe's size in bytes: each slot of a pipe counts as a
// page, whatever the piece in it holds.
func PageSize() int { return unix.Getpagesize() }

// Pipe makes a non-blocking pipe: what is written to w is read from r.
func Pipe() (r, w int, errno syscall.Errno) {
	var p [2]int32
	_, _, errno = syscall.RawSyscall(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&p)), unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	return int(p[0]), int(p[1]), errno
}

// SetPipeSize asks for a pipe of size bytes and returns the size that it got.
// EPERM: above fs.pipe-max-size, or the user has fs.pipe-user-pages-soft pages in
// pipes already (pipe(7)).
func SetPipeSize(fd, size int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETPIPE_SZ, uintptr(size))
	return int(n), errno
}

// PipeSize is the size of a pipe in bytes.
func PipeSize(fd int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETPIPE_SZ, 0)
	return int(n), errno
}

// Splice moves up to n bytes between a pipe and a socket without copying them
// (splice(2)). From a socket, 0 is the end of the stream. EAGAIN: the source is empty
// or the destination full.
func Splice(from, to, n int) (int, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
		unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(r), errno
}
