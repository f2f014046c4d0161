package sys

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IDMap maps one user and one group of a new user namespace, UID and GID, to the
// user and the group that its creator is. That much everybody may map
// (user_namespaces(7)), if setgroups(2) is given up.
type IDMap struct{ UID, GID int }

// mapFile is a text to be written to a file, ready for raw system calls.
type mapFile struct {
	path, text *byte
	textLen    uintptr
}

// mapFiles are what makes a map, in the order of writing.
type mapFiles [3]mapFile

// newMapFiles prepares the map m of a process that is around in the surrounding
// user namespace.
func newMapFiles(m, around IDMap) *mapFiles {
	const self = "/proc/self/"
	return &mapFiles{
		newMapFile(self+"setgroups", "deny"),
		newMapFile(self+"gid_map", fmt.Sprintf("%d %d 1", m.GID, around.GID)),
		newMapFile(self+"uid_map", fmt.Sprintf("%d %d 1", m.UID, around.UID)),
	}
}

func newMapFile(path, text string) mapFile {
	p, t := append([]byte(path), 0), []byte(text)
	return mapFile{path: &p[0], text: &t[0], textLen: uintptr(len(t))}
}

// write writes the files, in the process whose user namespace they are about,
// between clone and execve: with raw system calls only. Nothing to do for nil.
//
//go:nosplit
//go:norace
func (m *mapFiles) write() syscall.Errno {
	if m == nil {
		return 0
	}
	for i := range m {
		fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, 0, uintptr(unsafe.Pointer(m[i].path)),
			unix.O_WRONLY|unix.O_CLOEXEC, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		_, _, errno = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(m[i].text)), m[i].textLen)
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		if errno != 0 {
			return errno
		}
	}
	return 0
}
