package netns

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// watchDir makes an inotify descriptor for names that leave the directory dir.
func watchDir(dir string) (int, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, err
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_ONLYDIR|unix.IN_DELETE|unix.IN_MOVED_FROM); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// endsName tells whether one of the events from watchDir means that the name in
// the directory is gone: it was unlinked or renamed, or the directory went with it.
// Where the kernel lost events we cannot look any more, and the name counts as
// gone: a network that ends too early shows, a process left behind does not.
func endsName(events []byte, name string) bool {
	const lost = unix.IN_IGNORED | unix.IN_UNMOUNT | unix.IN_Q_OVERFLOW
	for len(events) >= unix.SizeofInotifyEvent {
		// struct inotify_event (inotify(7)): wd, mask, cookie, len, name.
		mask := binary.NativeEndian.Uint32(events[4:])
		nameLen := binary.NativeEndian.Uint32(events[12:])
		events = events[unix.SizeofInotifyEvent:]
		if uint64(nameLen) > uint64(len(events)) {
			return false
		}
		text, _, _ := bytes.Cut(events[:nameLen], []byte{0})
		events = events[nameLen:]
		if mask&lost != 0 || string(text) == name {
			return true
		}
	}
	return false
}
