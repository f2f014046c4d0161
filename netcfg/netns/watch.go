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
// the root directory was changed.
type Watch struct {
	dir  *os.File
	base string
	// inotify is a descriptor, or -1: an os.File would be switched to blocking
	// mode by the call that gives its number for poll(2).
	inotify int
	// owner is nil if no process is watched. Without inotify and owner the
	// name is looked up by a timer.
	owner *os.File
}

// NewWatch starts watching path. owner is the pidfd from OpenOwner or nil; the
// Watch owns it from now on, also on error.
func NewWatch(path string, owner *os.File) (*Watch, error) {
	w := &Watch{base: filepath.Base(path), inotify: -1, owner: owner}
	if err := w.open(filepath.Dir(path)); err != nil {
		w.close()
		return nil, fmt.Errorf("watch network namespace %q: %w", path, err)
	}
	return w, nil
}

func (w *Watch) open(dir string) error {
	var err error
	if w.dir, err = os.Open(dir); err != nil {
		return err
	}
	if silent, err := isSilent(w.dir); err != nil || silent {
		return err
	}
	// Without inotify (its limits are per user and may be used up) the name
	// is looked up by the timer instead.
	if w.inotify, err = watchDir(dir); err != nil {
		w.owner = closed(w.owner)
	}
	return nil
}

// watchDir makes an inotify descriptor for names that leave the directory dir.
func watchDir(dir string) (int, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, err
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_DELETE|unix.IN_MOVED_FROM); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// isSilent tells whether the file system of dir changes without inotify events.
func isSilent(dir *os.File) (bool, error) {
	var st unix.Statfs_t
	if err := withFD(dir, func(fd int) error { return unix.Fstatfs(fd, &st) }); err != nil {
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
// more. It closes the Watch, and is called once, on any goroutine; it blocks
// its thread.
func (w *Watch) Wait() error {
	defer w.close()
	fds := w.pollFds()
	timeout := -1
	if len(fds) == 0 {
		timeout = int(recheck.Milliseconds())
	}
	// A name that went before the watch was in place sends no event.
	for ; !w.gone(); w.drain() {
		if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll for the end of network namespace %q: %w", w.base, err)
		}
		if w.ownerEnded(fds) {
			return nil
		}
	}
	return nil
}

// pollFds lists the descriptors to wait for; owner is the last one.
func (w *Watch) pollFds() (fds []unix.PollFd) {
	if w.inotify >= 0 {
		fds = append(fds, unix.PollFd{Fd: int32(w.inotify), Events: unix.POLLIN})
	}
	if w.owner != nil {
		fds = append(fds, unix.PollFd{Fd: int32(w.owner.Fd()), Events: unix.POLLIN})
	}
	return fds
}

func (w *Watch) ownerEnded(fds []unix.PollFd) bool {
	return w.owner != nil && fds[len(fds)-1].Revents != 0
}

// gone looks the name up in its directory. Only the absence of the name or of
// its process counts: a name that we may not look at any more is still there
// (sandboxing takes the rights to look into other processes).
func (w *Watch) gone() bool {
	var st unix.Stat_t
	err := withFD(w.dir, func(dir int) error { return unix.Fstatat(dir, w.base, &st, 0) })
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

// drain takes the pending events off the inotify descriptor. What they say does
// not matter: the name is looked up after each batch.
func (w *Watch) drain() {
	if w.inotify < 0 {
		return
	}
	var buf [4096]byte
	for {
		if _, err := unix.Read(w.inotify, buf[:]); err != nil {
			return
		}
	}
}

func (w *Watch) close() {
	w.dir, w.owner = closed(w.dir), closed(w.owner)
	if w.inotify >= 0 {
		unix.Close(w.inotify)
		w.inotify = -1
	}
}

// closed closes f, if any, and gives nil.
func closed(f *os.File) *os.File {
	if f != nil {
		f.Close()
	}
	return nil
}
