package isolate

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/core/sys"
)

// Capabilities that a caller of Sandbox may keep.
const (
	CapNetBindService uint64 = 1 << unix.CAP_NET_BIND_SERVICE
	CapSysAdmin       uint64 = 1 << unix.CAP_SYS_ADMIN
)

// Options of the empty root directory: nothing can be made in it, and nothing
// that a later mistake might put there could be executed.
const (
	rootFlags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	rootData  = "nr_inodes=2,nr_blocks=0"
	// rootPlace is where it is mounted for a moment: a directory that exists
	// wherever this program runs, since it starts itself from there.
	rootPlace = "/proc"
)

// Sandbox takes from all threads of the process what moving packets does not
// need: the file system, capabilities except keep (a bit for each, as in
// capabilities(7)), the ways to get new ones, and the view of others into it.
// Descriptors stay usable. The process is in a mount namespace of its own and has
// CAP_SYS_ADMIN there. It must not use cgo. Where pivot_root(2) is refused, because
// the root is that of an initramfs, chrootFallback makes do with chroot(2).
func Sandbox(keep uint64, chrootFallback bool) error {
	if err := mountEmptyRoot(); err != nil {
		return err
	}
	if err := enterEmptyRoot(unix.PivotRoot, chrootFallback); err != nil {
		return err
	}
	if err := noNewPrivileges(); err != nil {
		return err
	}
	if err := limitCapabilities(keep); err != nil {
		return err
	}
	// Last: the kernel resets it along with credentials.
	return SetDumpable(false)
}

// mountEmptyRoot mounts an empty read-only directory and goes there.
func mountEmptyRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("none", rootPlace, "tmpfs", rootFlags, rootData); err != nil {
		return fmt.Errorf("mount empty root: %w", err)
	}
	if err := unix.Chdir(rootPlace); err != nil {
		return fmt.Errorf("enter empty root: %w", err)
	}
	return nil
}

// enterEmptyRoot makes the working directory the root. pivot_root(2) with "." for both
// its arguments stacks the old root on the new one, where it is detached at once,
// so that no directory for it is needed. chroot(2) leaves the old root mounted, out
// of reach of a process that loses CAP_SYS_CHROOT.
func enterEmptyRoot(pivot func(newRoot, putOld string) error, chrootFallback bool) error {
	err := pivot(".", ".")
	if err != nil && chrootFallback {
		if err := unix.Chroot("."); err != nil {
			return fmt.Errorf("chroot to empty root: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("pivot to empty root (--chroot-fallback does without): %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("detach old root: %w", err)
	}
	return nil
}

// noNewPrivileges makes execve(2) grant nothing, not even to user 0.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno == unix.ENOTSUP {
		return fmt.Errorf("set no new privileges: this program was built with cgo, use CGO_ENABLED=0: %w", errno)
	}
	if errno != 0 {
		return fmt.Errorf("set no new privileges: %w", errno)
	}
	return nil
}

// limitCapabilities keeps those of keep that the process has.
func limitCapabilities(keep uint64) error {
	have, err := sys.Capabilities()
	if err != nil {
		return err
	}
	return sys.SetCapabilities(have & keep)
}
