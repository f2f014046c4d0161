package fwd

import "syscall"

// Refusal is how the guest learns that the host could not connect for it.
type Refusal uint8

// The ways of refusal.
const (
	// RefuseAsHost tells what the host's kernel would have told an application there.
	RefuseAsHost Refusal = iota
	// RefuseUnreachable resets what the peer refused and says host unreachable where
	// the kernel does; any other failure is a network that is unreachable.
	RefuseUnreachable
	// RefuseReset resets, whatever the failure was.
	RefuseReset
)

// Errno is the error to tell for errno.
func (r Refusal) Errno(errno syscall.Errno) syscall.Errno {
	switch {
	case r == RefuseReset:
		return syscall.ECONNREFUSED
	case r == RefuseUnreachable && errno != syscall.ECONNREFUSED && errno != syscall.EHOSTUNREACH:
		return syscall.ENETUNREACH
	}
	return errno
}
