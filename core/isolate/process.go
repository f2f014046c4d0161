// Package isolate takes rights and resources away from the calling process:
// inherited descriptors, the user that it runs as, capabilities, the view of
// the file system. It is used at start-up only, before or after everything else
// was opened, as each function tells.
//
// Import level: just above sys.
package isolate

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// CloseInherited closes every descriptor above 2 that came from the process's
// parent, except keep. Our own ones are known by close-on-exec, which no
// inherited descriptor can have: execve would have closed it. (The Go runtime
// has descriptors of its own, so closing whole ranges is not an option.)
func CloseInherited(keep ...int) error {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open descriptors: %w", err)
	}
	kept := make(map[int]bool, len(keep))
	for _, fd := range keep {
		kept[fd] = true
	}
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil || fd <= 2 || kept[fd] {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	return nil
}

// ReplaceStdio puts f, which is /dev/null, in the place of descriptors 0, 1 and
// 2, so that whoever reads their other ends sees the end of file. It closes f.
func ReplaceStdio(f *os.File) error {
	defer f.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return fmt.Errorf("replace descriptor %d by %s: %w", fd, f.Name(), err)
		}
	}
	return nil
}

// DieWith makes the kernel send sig to the process when its parent ends; 0
// undoes it. More exactly: when the parent's thread ends that made it. The
// caller is locked to a thread that lives as long as the process.
func DieWith(sig syscall.Signal) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0); err != nil {
		return fmt.Errorf("tie to the parent process: %w", err)
	}
	return nil
}

// SetDumpable tells whether other processes of the same user may look into this
// one: trace it, open its namespaces, write its ID maps (prctl(2)).
func SetDumpable(on bool) error {
	var v uintptr
	if on {
		v = 1
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, v, 0, 0, 0); err != nil {
		return fmt.Errorf("set dumpable to %t: %w", on, err)
	}
	return nil
}
