// Package sys is the boundary to the kernel: all raw system calls of the core,
// and all unsafe. Calls return syscall.Errno (0 for success), which
// allocates nothing; descriptors are plain ints whose owner is named by the caller.
//
// Calls on the data path go through RawSyscall: they never block, because every
// descriptor is non-blocking, and so they need not tell the Go scheduler. Only
// EpollWait with a timeout may sleep, and tells it.
//
// Import level: with packet, above the leaves. Any goroutine may call.
package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read reads from fd into b.
func Read(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

// Pread reads from fd into b at offset off of the file.
func Pread(fd int, b []byte, off int64) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), uintptr(off), 0, 0)
	return int(n), errno
}

// Write writes b to fd.
func Write(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

// Write2 writes a followed by b to fd with one call.
func Write2(fd int, a, b []byte) (int, syscall.Errno) {
	iov := [2]unix.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 2)
	return int(n), errno
}

// Close closes fd.
func Close(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Placeholder opens a descriptor that is good for nothing but keeping its number.
func Placeholder() (int, syscall.Errno) {
	fd, _, errno := syscall.RawSyscall(unix.SYS_EVENTFD2, 0, unix.EFD_CLOEXEC, 0)
	return int(fd), errno
}

// Replace closes what the descriptor to stands for and moves there what from does.
func Replace(to, from int) {
	_, _, _ = syscall.RawSyscall(unix.SYS_DUP3, uintptr(from), uintptr(to), unix.O_CLOEXEC)
	Close(from)
}

// Iovecs is a fixed-size gather list that never allocates after NewIovecs.
type Iovecs struct {
	iov   []unix.Iovec
	bytes int
}

// NewIovecs makes a list for at most n slices.
func NewIovecs(n int) Iovecs { return Iovecs{iov: make([]unix.Iovec, 0, n)} }

// Reset empties the list.
func (v *Iovecs) Reset() { v.iov, v.bytes = v.iov[:0], 0 }

// Full tells whether no further slice fits.
func (v *Iovecs) Full() bool { return len(v.iov) == cap(v.iov) }

// Len is the total number of bytes in the list.
func (v *Iovecs) Len() int { return v.bytes }

// Count is the number of slices in the list.
func (v *Iovecs) Count() int { return len(v.iov) }

// Add appends b, which must stay valid until the list is used. The list must
// not be full.
func (v *Iovecs) Add(b []byte) {
	n := len(v.iov)
	v.iov = v.iov[:n+1]
	v.iov[n].Base = unsafe.SliceData(b)
	v.iov[n].SetLen(len(b))
	v.bytes += len(b)
}

// Tail copies what lies behind the first skip bytes of the list to dst and
// returns how many bytes that was.
func (v *Iovecs) Tail(skip int, dst []byte) int {
	n := 0
	for i := range v.iov {
		b := unsafe.Slice(v.iov[i].Base, int(v.iov[i].Len))
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		n += copy(dst[n:], b[skip:])
		skip = 0
	}
	return n
}
