package netns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenParent opens the user namespace around the one at path, which the caller's
// own has to contain (ioctl_nsfs(2), Linux 4.9). Errors keep the errno.
func OpenParent(path string) (*os.File, error) {
	child, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open user namespace %q: %w", path, err)
	}
	defer child.Close()
	parent := -1
	err = withFD(child, func(fd int) (err error) {
		parent, err = unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open parent of user namespace %q: %w", path, err)
	}
	return os.NewFile(uintptr(parent), "parent of "+path), nil
}
