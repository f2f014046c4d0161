package sys

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lockedProc is the plan for procfs of a new PID namespace that root of the new
// user namespace cannot unmount, to find under it the one that shows everybody.
//
// The kernel locks the mounts of a mount namespace that are copied to one of
// another user namespace (mount_namespaces(7)). So procfs has to be mounted
// before, in a mount namespace of the outer user namespace, by a process of that
// (the helper), which is in the new PID namespace already: procfs shows that of
// whoever mounts it. The PID namespace belongs to the inner one nevertheless.
//
//	first process    mount namespace; clone; into the PID namespace, clone; end
//	second process     wait; mount namespace in the inner user namespace; execve
//	helper               mount procfs; end
type lockedProc struct {
	// pidfd is the second process for the first one: its PID namespace.
	pidfd int32
	// done is a pipe, closed by the first process when procfs is mounted.
	done       [2]int
	fsType, at *byte
	b          [1]byte
}

// lockedProcFlags are those that the spec needs for a locked procfs.
const lockedProcFlags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID

// planProc makes the plan, if the spec asks for it.
func (p *forkPlan) planProc(s ForkSpec) error {
	if !s.LockProc {
		return nil
	}
	if s.Outer == nil || s.Namespaces&lockedProcFlags != lockedProcFlags {
		return fmt.Errorf("lock procfs: %w", unix.EINVAL)
	}
	proc, at := append([]byte("proc"), 0), append([]byte("/proc"), 0)
	l := &lockedProc{pidfd: -1, fsType: &proc[0], at: &at[0]}
	if err := unix.Pipe2(l.done[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	p.proc = l
	p.flags = p.flags&^unix.CLONE_NEWNS | unix.CLONE_PIDFD
	return nil
}

// close closes what is left of the plan in the caller of ForkExec.
func (l *lockedProc) close() {
	if l != nil {
		Close(l.done[0])
		Close(l.done[1])
	}
}

// mount mounts procfs by a helper, in the first process. Without success (Linux 5.8
// is needed) the program finds that procfs is not its own.
//
//go:nosplit
//go:norace
func (l *lockedProc) mount() {
	_, _, errno := syscall.RawSyscall(unix.SYS_SETNS, uintptr(l.pidfd), unix.CLONE_NEWPID, 0)
	if errno != 0 {
		return
	}
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return
	}
	if pid != 0 {
		syscall.RawSyscall6(unix.SYS_WAIT4, pid, 0, 0, 0, 0, 0)
		return
	}
	syscall.RawSyscall6(unix.SYS_MOUNT, uintptr(unsafe.Pointer(l.fsType)), uintptr(unsafe.Pointer(l.at)),
		uintptr(unsafe.Pointer(l.fsType)), unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, 0, 0)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// take waits for procfs, in the second process, and takes it to a mount namespace of
// its own.
//
//go:nosplit
//go:norace
func (l *lockedProc) take() syscall.Errno {
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(l.done[1]), 0, 0)
	syscall.RawSyscall(unix.SYS_READ, uintptr(l.done[0]), uintptr(unsafe.Pointer(&l.b)), 1)
	_, _, errno := syscall.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, 0)
	return errno
}
