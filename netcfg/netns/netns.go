// Package netns enters network namespaces and watches them: threads that live
// in a namespace, processes started in other user namespaces, and the end of a
// namespace that is known by a path or a process.
//
// A network namespace belongs to a thread, and a Go goroutine moves between
// threads. So whatever has to happen in another namespace runs on a goroutine
// that is locked to its thread; that thread ends with it and never serves
// another goroutine.
//
// Import level: netcfg, above core.
package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/sys"
)

// ErrNotNetns is what Open says of a file that is something else.
var ErrNotNetns = errors.New("not a network namespace")

// Open opens the network namespace that path refers to: a file below
// /proc/PID/ns or a place where such a file is mounted. Errors keep the errno,
// or are ErrNotNetns.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would block
	if err == nil && !isNetns(f) {
		f.Close()
		err = ErrNotNetns
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace %q: %w", path, err)
	}
	return f, nil
}

// isNetns asks the kernel for the kind of a namespace (ioctl_nsfs(2), Linux 4.11).
// The number of that call means something else to other kinds of files, hence the
// look at the file system.
func isNetns(f *os.File) bool {
	return withFD(f, func(fd int) error {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return err
		}
		if fs.Type != unix.NSFS_MAGIC {
			return ErrNotNetns
		}
		kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
		if err == nil && kind != unix.CLONE_NEWNET {
			err = ErrNotNetns
		}
		return err
	}) == nil
}

// Enter moves the calling thread to the network namespace ns. The caller has
// locked its goroutine to the thread and never unlocks it. Needs CAP_SYS_ADMIN
// in the caller's user namespace and in the one that owns ns (setns(2)).
func Enter(ns *os.File) error {
	err := withFD(ns, func(fd int) error { return unix.Setns(fd, unix.CLONE_NEWNET) })
	if err != nil {
		return fmt.Errorf("enter network namespace %q: %w", ns.Name(), err)
	}
	return nil
}

// Thread is an OS thread inside a network namespace that runs functions one
// after the other: sockets, taps and netlink sockets made in them belong to the
// namespace. Any goroutine may call its methods, Close only once.
type Thread struct {
	work chan func()
}

// NewThread starts a thread in the network namespace ns.
func NewThread(ns *os.File) (*Thread, error) {
	t := &Thread{work: make(chan func())}
	entered := make(chan error, 1)
	go t.run(ns, entered)
	if err := <-entered; err != nil {
		return nil, err
	}
	return t, nil
}

// run never unlocks its thread, so the runtime destroys the thread when run
// returns: nothing else can ever run in the wrong namespace.
func (t *Thread) run(ns *os.File, entered chan<- error) {
	runtime.LockOSThread()
	err := Enter(ns)
	entered <- err
	if err != nil {
		return
	}
	for f := range t.work {
		f()
	}
}

// Do runs f on the thread and gives its error. f must not call Do.
func (t *Thread) Do(f func() error) error {
	done := make(chan error, 1)
	t.work <- func() { done <- f() }
	return <-done
}

// Make makes sockets for flows in the namespace, see Source.
func (t *Thread) Make(family, typ, n int) (fds []int, err error) {
	limit := hostsock.ConnLimit()
	err = t.Do(func() error {
		for range n {
			fd, errno := limit.Check(sys.Socket(family, typ, 0))
			if errno != 0 {
				return errno
			}
			fds = append(fds, fd)
		}
		return nil
	})
	return fds, err
}

// Raw makes a socket that sends whole packets in the namespace, see Source.
func (t *Thread) Raw(family int) int {
	fd := -1
	_ = t.Do(func() error {
		if made, errno := sys.Socket(family, unix.SOCK_RAW, unix.IPPROTO_RAW); errno == 0 {
			fd = made
		}
		return nil
	})
	return fd
}

// Close ends the thread after the running function. What was made on it stays.
func (t *Thread) Close() { close(t.work) }

// withFD calls f with the descriptor of file, without the side effect of
// os.File.Fd on its blocking mode.
func withFD(file *os.File, f func(fd int) error) error {
	c, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Same tells whether two paths refer to the same namespace. A path that cannot
// be looked at refers to none.
func Same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
