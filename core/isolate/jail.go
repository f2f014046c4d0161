package isolate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// jailPlace is where the new root is mounted for a moment.
const jailPlace = "/tmp"

// jailAttrs are those of everything that stays visible.
const jailAttrs = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// Jail is Sandbox for a process that goes on needing some files: directories and files
// of the host, with what is mounted below them, stay visible in their places, read-only
// and up to date; those that are missing are left out. The process is in a mount
// namespace of its own and has CAP_SYS_ADMIN there. Capabilities other than keep leave
// the bounding set, too. Unlike after Sandbox, others may look into the process.
func Jail(visible []string, keep uint64) error {
	// The host's mounts arrive here; what happens here does not spread to the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts slaves: %w", err)
	}
	if err := unix.Mount("tmpfs", jailPlace, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=1k"); err != nil {
		return fmt.Errorf("mount new root: %w", err)
	}
	for _, path := range visible {
		if err := show(path); err != nil {
			return err
		}
	}
	if err := unix.Chdir(jailPlace); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	if err := enterEmptyRoot(unix.PivotRoot, false); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|rootFlags, ""); err != nil {
		return fmt.Errorf("make root read-only: %w", err)
	}
	if err := limitBounding(keep); err != nil {
		return err
	}
	if err := noNewPrivileges(); err != nil {
		return err
	}
	return limitCapabilities(keep)
}

// show mounts path below the new root.
func show(path string) error {
	at := jailPlace + path
	err := makePlace(path, at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = unix.Mount(path, at, "", unix.MS_BIND|unix.MS_REC, "")
	}
	if err == nil {
		err = setAttrs(at)
	}
	if err != nil {
		return fmt.Errorf("show %s in new root: %w", path, err)
	}
	return nil
}

// makePlace makes what path can be mounted on.
func makePlace(path, at string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.MkdirAll(at, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	return f.Close()
}

// setAttrs sets the attributes of a mount and all below it. Kernels before 5.12 know
// no way to do that; there those below keep theirs.
func setAttrs(at string) error {
	err := unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: jailAttrs})
	if errors.Is(err, unix.ENOSYS) {
		return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|rootFlags, "")
	}
	return err
}

// limitBounding takes all capabilities but keep from the bounding set of all threads.
func limitBounding(keep uint64) error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if keep>>c&1 != 0 {
			continue
		}
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if errno != 0 && errno != unix.EINVAL { // which the kernel does not know
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, errno)
		}
	}
	return nil
}
