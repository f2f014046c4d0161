package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ForkStep names what a process made by ForkExec was doing when it failed.
type ForkStep uint32

// The steps of ForkExec in their order. stepStarted is not a failure: its
// message carries the process ID.
const (
	stepStarted ForkStep = iota
	// StepUserns is setns(2) into the user namespace.
	StepUserns
	// StepOuter is clone(2) with, and the ID map of, the outer user namespace.
	StepOuter
	// StepClone is clone(2) with the new namespaces.
	StepClone
	// StepMap is writing the ID map of the new user namespace.
	StepMap
	// StepExec is execve(2).
	StepExec
)

// ForkError tells at which step ForkExec failed in the new process. It wraps
// the errno.
type ForkError struct {
	Step  ForkStep
	Errno syscall.Errno
}

// Error gives the step and the kernel's reason.
func (e *ForkError) Error() string {
	what := map[ForkStep]string{
		StepUserns: "enter user namespace",
		StepOuter:  "create outer user namespace",
		StepClone:  "clone into new namespaces",
		StepMap:    "map IDs of user namespace",
		StepExec:   "execute program",
	}[e.Step]
	return fmt.Sprintf("%s: %v", what, e.Errno)
}

// Unwrap gives the errno.
func (e *ForkError) Unwrap() error { return e.Errno }

// ForkSpec describes a process for ForkExec.
type ForkSpec struct {
	// Path is the program, Argv and Env its arguments and environment.
	Path string
	Argv []string
	Env  []string
	// UserNS is a descriptor of a user namespace to join; negative: none.
	UserNS int
	// Outer is the map of a new user namespace that Namespaces are made in; nil:
	// none. It excludes UserNS.
	Outer *IDMap
	// Namespaces are the CLONE_NEW... flags of the new process.
	Namespaces uintptr
	// LockProc mounts procfs of the new PID namespace on /proc, such that the
	// program cannot unmount it, if the kernel lets it (Linux 5.8): the program
	// finds out. It needs Outer, and CLONE_NEWUSER, CLONE_NEWNS and CLONE_NEWPID.
	LockProc bool
	// Map is for CLONE_NEWUSER in Namespaces; nil leaves IDs unmapped.
	Map *IDMap
	// NoFile is RLIMIT_NOFILE of the new process; nil: ours.
	NoFile *syscall.Rlimit
	// DropBounding empties the capability bounding set where permitted: the
	// program keeps the capabilities that it has, but can hand none to
	// programs that it would execute.
	DropBounding bool
	// NewSession starts the process in a session of its own (setsid(2)).
	NewSession bool
	// NewGroup starts it as the leader of a process group of its own (setpgid(2)).
	NewGroup bool
	// Files are descriptors that the program inherits, besides 0, 1 and 2,
	// under their present numbers. All others have to be close-on-exec.
	Files []int
}

// forkPlan is a ForkSpec made ready for the code between clone and execve,
// which may neither allocate nor grow its stack nor call the runtime.
type forkPlan struct {
	path   *byte
	argv   **byte
	env    **byte
	userNS int
	// outerFlags and flags are for the first and for the second clone.
	outerFlags uintptr
	flags      uintptr
	outer      *mapFiles
	inner      *mapFiles
	noFile     *syscall.Rlimit
	proc       *lockedProc
	drop       bool
	session    bool
	group      bool
	files      []int
	// report is the write end of the pipe for messages to the caller.
	report  uintptr
	msg     [2]uint32
	oldMask uint64
	allMask uint64
	capHdr  unix.CapUserHeader
	capData [2]unix.CapUserData
}

// ForkExec starts a program, which joins a user namespace on the way, and
// gives its process ID as the caller sees it. The process is a child of the
// caller. ForkExec returns when the program has been executed, or with a
// *ForkError.
//
// Why not os/exec: setns(2) into a user namespace is refused to a process with
// more than one thread, which a Go process always has, so it has to happen
// between fork and execve, where os/exec offers no hook. It takes two forks:
// namespaces that clone(2) makes belong to the user namespace of the caller of
// clone, hence the first process joins and the second one is born in its
// namespaces. (unshare(CLONE_NEWPID) instead would leave a process that can
// make no thread, which kills the Go runtime.) The second one gets the caller
// as its parent by CLONE_PARENT; the first one ends at once and is reaped here.
//
// A process whose UID is not 0 in the joined user namespace would lose at
// execve the capabilities that setns gave it: they are raised as ambient ones.
func ForkExec(s ForkSpec) (pid int, err error) {
	p, err := newForkPlan(s)
	if err != nil {
		return 0, err
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		p.proc.close()
		return 0, fmt.Errorf("make pipe: %w", err)
	}
	p.report = uintptr(fds[1])
	first, errno := p.runLocked()
	unix.Close(fds[1])
	p.proc.close()
	defer unix.Close(fds[0])
	if errno != 0 {
		step := StepClone
		if s.Outer != nil {
			step = StepOuter
		}
		return 0, &ForkError{Step: step, Errno: errno}
	}
	pid, err = readForkReport(fds[0])
	reap(first)
	if err != nil && pid > 0 {
		reap(pid)
	}
	return pid, err
}

func newForkPlan(s ForkSpec) (*forkPlan, error) {
	path, err := syscall.BytePtrFromString(s.Path)
	if err != nil {
		return nil, fmt.Errorf("program path %q: %w", s.Path, err)
	}
	argv, err := syscall.SlicePtrFromStrings(s.Argv)
	if err != nil {
		return nil, fmt.Errorf("program arguments: %w", err)
	}
	env, err := syscall.SlicePtrFromStrings(s.Env)
	if err != nil {
		return nil, fmt.Errorf("program environment: %w", err)
	}
	p := &forkPlan{
		path: path, argv: &argv[0], env: &env[0],
		userNS: s.UserNS, drop: s.DropBounding, session: s.NewSession, group: s.NewGroup, files: s.Files, noFile: s.NoFile,
		outerFlags: uintptr(unix.SIGCHLD),
		flags:      s.Namespaces | unix.CLONE_PARENT | uintptr(unix.SIGCHLD),
		allMask:    ^uint64(0),
		capHdr:     unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3},
	}
	p.planMaps(s)
	return p, p.planProc(s)
}

// planMaps prepares the maps, each in terms of the user namespace around it.
func (p *forkPlan) planMaps(s ForkSpec) {
	around := IDMap{UID: os.Geteuid(), GID: os.Getegid()}
	if s.Outer != nil {
		p.outerFlags |= unix.CLONE_NEWUSER
		p.outer = newMapFiles(*s.Outer, around)
		around = *s.Outer
	}
	if s.Map != nil {
		p.inner = newMapFiles(*s.Map, around)
	}
}

// runLocked forks with all signals blocked: the child has the runtime's
// signal handlers, but none of the runtime that they rely on.
func (p *forkPlan) runLocked() (int, syscall.Errno) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pid, errno := p.fork()
	runtime.KeepAlive(p)
	return int(pid), errno
}

// fork is the code on both sides of the first clone. Only raw system calls
// are allowed in it: the child is a copy of one thread of a Go process.
//
//go:nosplit
//go:norace
func (p *forkPlan) fork() (uintptr, syscall.Errno) {
	const maskLen = 8
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&p.allMask)),
		uintptr(unsafe.Pointer(&p.oldMask)), maskLen, 0, 0)
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, p.outerFlags, 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
			uintptr(unsafe.Pointer(&p.oldMask)), 0, maskLen, 0, 0)
		return pid, errno
	}
	if p.userNS >= 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_SETNS, uintptr(p.userNS), unix.CLONE_NEWUSER, 0)
		if errno != 0 {
			p.fail(StepUserns, errno)
		}
	}
	if errno = p.outer.write(); errno != 0 {
		p.fail(StepOuter, errno)
	}
	if p.userNS >= 0 || p.drop {
		p.raiseAmbient()
	}
	p.second()
	return 0, 0
}

// second is the second clone and the code on both sides of it. It does not return.
//
//go:nosplit
//go:norace
func (p *forkPlan) second() {
	pidfd := uintptr(0)
	if p.proc != nil {
		pidfd = uintptr(unsafe.Pointer(&p.proc.pidfd))
		if _, _, errno := syscall.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, 0); errno != 0 {
			p.fail(StepClone, errno)
		}
	}
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, p.flags, 0, pidfd, 0, 0, 0)
	switch {
	case errno != 0:
		p.fail(StepClone, errno)
	case pid == 0:
		p.exec()
	case p.proc != nil:
		p.proc.mount()
	}
	p.fail(stepStarted, syscall.Errno(pid))
}

// exec is the second process. It does not return.
//
//go:nosplit
//go:norace
func (p *forkPlan) exec() {
	if p.proc != nil {
		if errno := p.proc.take(); errno != 0 {
			p.fail(StepClone, errno)
		}
	}
	if errno := p.inner.write(); errno != 0 {
		p.fail(StepMap, errno)
	}
	if p.noFile != nil {
		syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(p.noFile)), 0, 0, 0)
	}
	if p.session {
		syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	}
	if p.group {
		syscall.RawSyscall(unix.SYS_SETPGID, 0, 0, 0)
	}
	for c := uintptr(0); p.drop && c <= unix.CAP_LAST_CAP; c++ {
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
	}
	for _, fd := range p.files {
		syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFD, 0)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&p.oldMask)), 0, 8, 0, 0)
	_, _, errno := syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)),
		uintptr(unsafe.Pointer(p.argv)), uintptr(unsafe.Pointer(p.env)))
	p.fail(StepExec, errno)
}

// raiseAmbient makes all permitted capabilities inheritable and ambient, so that
// execve keeps them: as ambient ones for an ordinary user, as inheritable ones
// for UID 0 without bounding set. Errors are ignored: there is nothing to keep.
//
//go:nosplit
//go:norace
func (p *forkPlan) raiseAmbient() {
	hdr, data := uintptr(unsafe.Pointer(&p.capHdr)), uintptr(unsafe.Pointer(&p.capData))
	syscall.RawSyscall(unix.SYS_CAPGET, hdr, data, 0)
	p.capData[0].Inheritable = p.capData[0].Permitted
	p.capData[1].Inheritable = p.capData[1].Permitted
	syscall.RawSyscall(unix.SYS_CAPSET, hdr, data, 0)
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0, 0)
	}
}

// fail sends one message to the caller of ForkExec and ends the process.
//
//go:nosplit
//go:norace
func (p *forkPlan) fail(step ForkStep, value syscall.Errno) {
	p.msg[0], p.msg[1] = uint32(step), uint32(value)
	syscall.RawSyscall(unix.SYS_WRITE, p.report, uintptr(unsafe.Pointer(&p.msg)), unsafe.Sizeof(p.msg))
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// readForkReport reads messages until both processes closed the pipe, by
// ending or by execve. The process ID is valid along with an error of the second process.
func readForkReport(fd int) (pid int, err error) {
	for {
		var msg [2]uint32
		buf := unsafe.Slice((*byte)(unsafe.Pointer(&msg)), unsafe.Sizeof(msg))
		n, rerr := ignoringEINTR(func() (int, error) { return unix.Read(fd, buf) })
		switch {
		case rerr != nil:
			return pid, fmt.Errorf("read report of new process: %w", rerr)
		case n == 0 && pid == 0 && err == nil:
			return 0, fmt.Errorf("start process: %w", unix.ESRCH)
		case n == 0:
			return pid, err
		case ForkStep(msg[0]) == stepStarted:
			pid = int(msg[1])
		default:
			err = &ForkError{Step: ForkStep(msg[0]), Errno: syscall.Errno(msg[1])}
		}
	}
}

// reap waits for a child that has ended or is about to.
func reap(pid int) {
	_, _ = ignoringEINTR(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) })
}

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
