package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NetnsCookie identifies the network namespace that socket fd belongs to, until the
// next boot (SO_NETNS_COOKIE, Linux 5.14).
func NetnsCookie(fd int) (uint64, syscall.Errno) { return socketUint64(fd, unix.SO_NETNS_COOKIE) }

// SocketCookie identifies the socket fd, until the next boot (SO_COOKIE, Linux 4.12).
func SocketCookie(fd int) (uint64, syscall.Errno) { return socketUint64(fd, unix.SO_COOKIE) }

func socketUint64(fd, option int) (uint64, syscall.Errno) {
	var v uint64
	l := uint32(unsafe.Sizeof(v))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(option),
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&l)), 0)
	if errno != 0 {
		return 0, errno
	}
	return v, 0
}

// OwnNetnsCookie identifies the network namespace of the calling thread.
func OwnNetnsCookie() (uint64, syscall.Errno) {
	fd, errno := Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if errno != 0 {
		return 0, errno
	}
	defer Close(fd)
	return NetnsCookie(fd)
}
