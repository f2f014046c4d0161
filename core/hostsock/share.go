package hostsock

import (
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// The descriptors that flows may have, in parts:
//
//	0             80                120    128
//	|  all flows  |   connections   | kept |
//
// No more than 8 descriptors are kept for each of the 8 parts, whatever the limit.
//
// Where listeners have left less than 80 parts for connections and all flows together,
// connections have half of what is left, and all flows the other half.
//
// So connections can be made when datagram flows have taken what they may, and those can
// begin when connections have: what is kept is enough for the own part of each kind.
const (
	parts     = 128
	connParts = 40
	keptParts = 8
)

// part is n parts of the descriptors below l, and at least one. What is above a
// million counts for nothing: tables of flows are smaller.
func (l Limit) part(n int) int { return max(1, min(int(l), 1<<20)*n/parts) }

// kept is n parts of what is kept: a few sockets of a kind do, where the limit is high.
func (l Limit) kept(n int) int { return min(l.part(n), 8*n) }

// left is how many descriptors below l are free, listeners being open by now.
func (l Limit) left() int {
	fd, errno := l.Check(sys.Placeholder())
	if errno != 0 {
		return 0
	}
	sys.Close(fd)
	return int(l) - fd
}

// Kind is a kind of datagram flows: those of one protocol and path.
type Kind uint8

// All kinds.
const (
	UDP    Kind = iota
	Bypass      // UDP past the tap, for each side with listeners
	Echo
)

// kinds have an own part each, and a bound on what they may have of the common one.
var kinds = [...]struct{ own, most int }{
	UDP:    {3, parts},
	Bypass: {2, 16},
	Echo:   {1, 8},
}

// Share is what datagram flows of one kind may have of the descriptors. Inside it, new
// flows take the place of old ones.
type Share struct {
	common, all Limit
	own, most   int // numbers of sockets
}

// NewShare gives the share of a kind.
func NewShare(k Kind) Share {
	l := flowLimit()
	conns := min(l.part(connParts), l.left()/2)
	return Share{
		common: l - Limit(conns+l.kept(keptParts)), all: l,
		own: l.kept(kinds[k].own), most: l.part(kinds[k].most),
	}
}

// Holder has the flows of one kind.
type Holder interface {
	// Sockets is how many they have.
	Sockets() int
	// Recycle ends the one that is missed least, and tells whether there was one.
	Recycle() bool
}

// Socket makes a datagram socket for a new flow of h, if need be in place of that of an
// older one.
func (s *Share) Socket(h Holder, family, proto int) (fd int, errno syscall.Errno) {
	s.MakeRoom(h)
	fd, errno = s.Limit(h).Check(sys.Socket(family, syscall.SOCK_DGRAM, proto))
	if (errno == syscall.EMFILE || errno == syscall.ENFILE) && h.Recycle() {
		// In the place of one beyond the common limit, the new one is beyond it as well.
		fd, errno = s.all.Check(sys.Socket(family, syscall.SOCK_DGRAM, proto))
	}
	return fd, errno
}

// MakeRoom has h end a flow if it has as many as it may.
func (s *Share) MakeRoom(h Holder) {
	if h.Sockets() >= s.most {
		h.Recycle()
	}
}

// Limit is that for one more socket of h.
func (s *Share) Limit(h Holder) Limit {
	if h.Sockets() < s.own {
		return s.all
	}
	return s.common
}
