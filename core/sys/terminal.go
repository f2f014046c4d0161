package sys

import "golang.org/x/sys/unix"

// Foreground gives the foreground process group of the terminal fd, which has to be
// the controlling terminal of the caller: ENOTTY if it is not (tcgetpgrp(3)).
func Foreground(fd int) (pgrp int, err error) { return unix.IoctlGetInt(fd, unix.TIOCGPGRP) }

// SetForeground makes pgrp, a process group of the caller's session, the foreground
// one of its controlling terminal fd. A caller that is not in the foreground
// itself has to ignore SIGTTOU, or is stopped (tcsetpgrp(3)).
func SetForeground(fd, pgrp int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, pgrp) }
