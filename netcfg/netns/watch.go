package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// recheck is how often a name is looked up where the kernel reports nothing.
const recheck = time.Second

// Watch waits for the end of a network namespace that is known by a path: the
// name is unlinked from its directory, or the process that the path hangs on
// ends. It sleeps in the kernel; only a name on procfs, sysfs or devpts, which
// send no inotify events, without a process to watch is looked up every second.
//
// Everything that it needs is opened by NewWatch, so it goes on working after
// the root directory was changed. Only to look a name up does it keep a directory
// open: that is a way out of the new root for whoever takes the process over.
type Watch struct {
	base string
	// events is an inotify descriptor, or -1: an os.File would be switched to
	// blocking mode by the call that gives its number for poll(2).
	events int
	// owner is nil if no process is watched.
	owner *os.File
	// dir, opened with O_PATH, is -1 unless the name is looked up by a timer.
	dir int
	// ended is set if the name was gone before it was watched.
	ended bool
}

// NewWatch starts watching path. owner is the pidfd from OpenOwner or nil; the
// Watch owns it from now on, also on error.
func NewWatch(path string, owner *os.File) (*Watch, error) {
	w := &Watch{base: filepath.Base(path), events: -1, owner: owner, dir: -1}
	err := w.open(filepath.Dir(path))
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("watch network namespace %q: %w", path, err)
	}
	var st unix.Stat_t
	w.ended = isGone(unix.Stat(path, &st))
	return w, nil
}

func (w *Watch) open(dir string) error {
	silent, err := isSilent(dir)
	if err != nil {
		return err
	}
	if !silent {
		// Its limits are per user and may be used up: then by the timer.
		if w.events, err = watchDir(dir); err == nil {
			return nil
		}
	} else if w.owner != nil {
		return nil
	}
	w.dir, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return err
}

// isSilent tells whether the file system of dir changes without inotify events.
func isSilent(dir string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false, err
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEVPTS_SUPER_MAGIC:
		return true, nil
	}
	return false, nil
}

// Name is the last component of the path, for messages.
func (w *Watch) Name() string { return w.base }

// Wait returns when the namespace is gone, nil, or when it cannot be watched any
// more. It is called once, on any goroutine; it blocks its thread.
func (w *Watch) Wait() error {
	fds := w.pollFds()
	timeout := -1
	if w.dir >= 0 {
		timeout = int(recheck.Milliseconds())
	}
	for !w.ended {
		if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll for the end of network namespace %q: %w", w.base, err)
		}
		w.ended = w.ownerEnded(fds) || w.unlinked() || w.missing()
	}
	return nil
}

// pollFds lists the descriptors to wait for; owner is the last one.
func (w *Watch) pollFds() (fds []unix.PollFd) {
	if w.events >= 0 {
		fds = append(fds, unix.PollFd{Fd: int32(w.events), Events: unix.POLLIN})
	}
	if w.owner != nil {
		fds = append(fds, unix.PollFd{Fd: int32(w.owner.Fd()), Events: unix.POLLIN})
	}
	return fds
}

func (w *Watch) ownerEnded(fds []unix.PollFd) bool {
	return w.owner != nil && fds[len(fds)-1].Revents != 0
}

// unlinked takes the pending events off the inotify descriptor and tells whether
// one of them is the end of the name.
func (w *Watch) unlinked() bool {
	if w.events < 0 {
		return false
	}
	var buf [4096]byte
	for {
		n, err := unix.Read(w.events, buf[:])
		if err != nil {
			return false
		}
		if endsName(buf[:n], w.base) {
			return true
		}
	}
}

// missing looks the name up in its directory, if there is no other way.
func (w *Watch) missing() bool {
	if w.dir < 0 {
		return false
	}
	var st unix.Stat_t
	return isGone(unix.Fstatat(w.dir, w.base, &st, 0))
}

// isGone judges the error of a look-up. Only the absence of the name or of its
// process counts: a name that we may not look at any more is still there
// (sandboxing takes the rights to look into other processes).
func isGone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }

// Close releases what NewWatch opened, after Wait has returned. The kernel takes
// about 10 ms to close an inotify descriptor, which the end of a run need not
// wait for.
func (w *Watch) Close() {
	if w.owner != nil {
		w.owner.Close()
	}
	for _, fd := range []*int{&w.events, &w.dir} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}
