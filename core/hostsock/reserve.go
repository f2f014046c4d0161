package hostsock

import (
	"math"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// Of the descriptors that the process may have, so many are kept from flows, or this
// share of a low limit: control sockets have to work while flows have taken all others.
const (
	reserve      = 64
	reserveShare = 8
)

// Limit is the lowest descriptor that a flow may not have. The kernel gives the lowest
// number that is free, so that comparing the one that it gave tells without a
// system call how many are left.
type Limit int

// flowLimit is that for all flows together. It is for when flows begin: system calls are
// spent.
func flowLimit() Limit { return belowLimit(reserve, reserveShare) }

// ConnLimit is that for connections. Beyond it there is what other flows need to go on
// when connections have taken all others (see Share).
func ConnLimit() Limit {
	l := flowLimit()
	return l - Limit(l.kept(keptParts))
}

// ListenerLimit is that for a listener asked for while flows have taken all that is
// theirs: it may have half of the reserve.
func ListenerLimit() Limit { return belowLimit(reserve/2, 2*reserveShare) }

// belowLimit is n below the limit of the process, or a share of that.
func belowLimit(n, share uint64) Limit {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxInt
	}
	return Limit(min(l.Cur-min(n, l.Cur/share), math.MaxInt))
}

// Check closes a new descriptor that is beyond the limit, as if the process might not
// have it: EMFILE. It takes what system calls give.
func (l Limit) Check(fd int, errno syscall.Errno) (int, syscall.Errno) {
	if errno == 0 && fd >= int(l) {
		sys.Close(fd)
		return -1, syscall.EMFILE
	}
	return fd, errno
}

// Spare is a descriptor below the limit, kept for an accepted connection: only accepting it
// tells that the others are used up, and it should not be lost for that.
type Spare struct {
	limit Limit
	fd    int
}

// NewSpare makes a spare descriptor for flows, which is opened when first needed.
func NewSpare(l Limit) Spare { return Spare{limit: l, fd: -1} }

// Ready tells whether a connection may be accepted: there is a spare descriptor, or
// another one could be had.
func (s *Spare) Ready() bool {
	if s.fd < 0 {
		s.fd, _ = s.limit.Check(sys.Placeholder())
	}
	return s.fd >= 0
}

// Fit gives the accepted connection fd a number below the limit. Ready said that it
// may be accepted.
func (s *Spare) Fit(fd int) int {
	if fd < int(s.limit) {
		return fd
	}
	low := s.fd
	s.fd = -1
	sys.Replace(low, fd)
	return low
}

// Close closes the spare descriptor.
func (s *Spare) Close() {
	if s.fd >= 0 {
		sys.Close(s.fd)
		s.fd = -1
	}
}
