package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetPeekOff sets the offset from which MSG_PEEK reads; it then advances with each
// peek and goes back with each consuming read. TCP has it since Linux 6.9;
// older kernels answer EOPNOTSUPP.
func SetPeekOff(fd, off int) syscall.Errno {
	return SetInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, off)
}

// PeekOff reads the offset that SetPeekOff sets; -1: not in use.
func PeekOff(fd int) (int, syscall.Errno) {
	return GetInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF)
}

// SetLingerReset makes the next close of a TCP socket send RST instead of FIN.
func SetLingerReset(fd int) syscall.Errno {
	l := unix.Linger{Onoff: 1, Linger: 0}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
	return errno
}

// HavePeekOff tells whether TCP sockets know SO_PEEK_OFF.
func HavePeekOff() bool {
	fd, errno := Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if errno != 0 {
		return false
	}
	defer Close(fd)
	return SetPeekOff(fd, 0) == 0
}
