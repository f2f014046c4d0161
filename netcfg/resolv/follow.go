package resolv

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// settle is how long to let changes of the file come to rest.
	settle = 100 * time.Millisecond
	// recheck is how often the file is looked at where the kernel reports nothing.
	recheck = time.Second
)

// Follow calls changed with what the file at path says, now and whenever that is
// something else, until ctx ends. It sleeps in the kernel until the file or its
// directory changes, or that of the file it is a link to (inotify(7)); only where that is
// out of watches does it look every second.
func Follow(ctx context.Context, path string, changed func(Conf)) {
	last := Conf{Search: []string{"?"}} // equal to none
	for ctx.Err() == nil {
		events, err := watch(path) // before reading, so that no change is missed
		if c, err := Read(path); err == nil && !c.equal(last) {
			last = c
			changed(c)
		}
		if err != nil {
			pause(ctx, recheck)
			continue
		}
		await(ctx, events)
		pause(ctx, settle)
	}
}

// equal tells whether two files say the same.
func (c Conf) equal(d Conf) bool {
	return slices.Equal(c.Servers, d.Servers) && slices.Equal(c.Search, d.Search)
}

// await waits for an event, or the end of ctx, and closes events.
func await(ctx context.Context, events *os.File) {
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { events.Close() })
	defer stop()
	_, _ = events.Read(make([]byte, 4096)) // what happened does not matter
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// watch makes an inotify descriptor for the file, which may be a mount of one that is
// elsewhere, and for the directories on the way to it.
func watch(path string) (*os.File, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	events := os.NewFile(uintptr(fd), "inotify")
	places := map[string]uint32{filepath.Dir(path): inDirectory}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		places[filepath.Dir(real)] = inDirectory
		places[real] = syscall.IN_CLOSE_WRITE
	}
	for place, mask := range places {
		if _, err := syscall.InotifyAddWatch(fd, place, mask); err != nil {
			events.Close()
			return nil, err
		}
	}
	return events, nil
}

// inDirectory are the events that a name in a directory gets new contents with.
const inDirectory = syscall.IN_CLOSE_WRITE | syscall.IN_MOVED_TO | syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_ONLYDIR
