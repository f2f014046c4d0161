package ctlsock

import (
	"os"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// Listen binds a control socket at path, with mode 0600. A socket that is left
// over there is replaced, one that somebody listens on is EADDRINUSE. Errors are
// errnos.
func Listen(path string) (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := listen(fd, path); err != nil {
		sys.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// maxPath is the longest path of a socket in bytes (unix(7)).
const maxPath = 107

// FileName is path as Go wants it for a socket: one that starts with "@" would be that
// of an abstract socket, which has no file, and so no owner and mode.
func FileName(path string) string {
	if strings.HasPrefix(path, "@") {
		return "./" + path
	}
	return path
}

func listen(fd int, path string) error {
	path = FileName(path)
	if len(path) > maxPath {
		return syscall.ENAMETOOLONG // for the kernel an invalid argument like others
	}
	if err := removeStale(path); err != nil {
		return err
	}
	// The file gets the mode of the socket: nobody else can come in between.
	if err := syscall.Fchmod(fd, 0o600); err != nil {
		return err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	return syscall.Listen(fd, backlog)
}

// backlog is how many clients may wait for their turn. More of them get EAGAIN: an
// engine that starts containers may come with a hundred at once.
const backlog = 128

// removeStale removes a socket that nobody listens on. Anything else at path makes
// bind fail.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return nil
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer sys.Close(fd)
	switch err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err {
	case syscall.ECONNREFUSED:
		return os.Remove(path)
	case nil, syscall.EAGAIN: // its backlog is full
		return syscall.EADDRINUSE
	default:
		return err
	}
}
