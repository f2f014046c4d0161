package sys

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EpollEvent is one ready descriptor: event bits and the 64-bit data given to EpollAdd.
type EpollEvent struct {
	ev unix.EpollEvent
}

// Bits are the EPOLL event bits.
func (e *EpollEvent) Bits() uint32 { return e.ev.Events }

// Data is the user data of the descriptor.
func (e *EpollEvent) Data() uint64 {
	return uint64(uint32(e.ev.Fd)) | uint64(uint32(e.ev.Pad))<<32
}

func makeEvent(bits uint32, data uint64) unix.EpollEvent {
	return unix.EpollEvent{Events: bits, Fd: int32(uint32(data)), Pad: int32(uint32(data >> 32))}
}

// EpollCreate makes an epoll instance.
func EpollCreate() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) }

// EpollAdd registers fd for bits with user data.
func EpollAdd(ep, fd int, bits uint32, data uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_ADD, fd, bits, data)
}

// EpollMod changes the registration of fd. It re-arms edge-triggered events and
// reports those that are pending now.
func EpollMod(ep, fd int, bits uint32, data uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_MOD, fd, bits, data)
}

// EpollDel removes fd.
func EpollDel(ep, fd int) syscall.Errno { return epollCtl(ep, unix.EPOLL_CTL_DEL, fd, 0, 0) }

func epollCtl(ep, op, fd int, bits uint32, data uint64) syscall.Errno {
	ev := makeEvent(bits, data)
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// EpollWait waits for events. timeout < 0 waits for ever, 0 polls. A signal
// gives no events and no error.
func EpollWait(ep int, events []EpollEvent, timeout time.Duration) (int, syscall.Errno) {
	if timeout == 0 {
		return epollPoll(ep, events)
	}
	var ts *unix.Timespec
	if timeout > 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	return epollSleep(ep, events, ts)
}

// epollPoll looks for events without sleeping, and without telling the scheduler.
func epollPoll(ep int, events []EpollEvent) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, ignoreEINTR(errno)
	}
	return int(n), 0
}

// epollSleep prefers epoll_pwait2 (Linux 5.11) for its nanoseconds.
func epollSleep(ep int, events []EpollEvent, ts *unix.Timespec) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		ms := -1
		if ts != nil {
			ms = int((ts.Nano() + 999999) / 1000000)
		}
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep),
			uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(ms), 0, 0)
	}
	if errno != 0 {
		return 0, ignoreEINTR(errno)
	}
	return int(n), 0
}

func ignoreEINTR(errno syscall.Errno) syscall.Errno {
	if errno == unix.EINTR {
		return 0
	}
	return errno
}

// Yield lets other runnable threads of this processor go first (sched_yield(2)).
func Yield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// Eventfd makes a non-blocking eventfd for waking a loop.
func Eventfd() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

// EventfdKick wakes whoever polls fd.
func EventfdKick(fd int) {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = Write(fd, b[:])
}

// EventfdDrain resets fd.
func EventfdDrain(fd int) {
	var b [8]byte
	_, _ = Read(fd, b[:])
}
