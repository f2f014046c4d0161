package portfwd

import (
	"fmt"
	"math"
	"syscall"

	"github.com/pasta-net/pasta/core/hostsock"
)

const (
	// spareDescriptors are those that a limit should have besides listeners: for
	// connections, and for what the process has open itself.
	spareDescriptors = 256
	// reserved of them are never given to listeners, so that neither specifications nor
	// services that come and go can leave connections and control sockets with none.
	reserved = 192
)

// maxListenerFD is the lowest descriptor that one of n listeners may not have: the
// kernel gives the lowest that is free, so all above are still to be had. Of a low
// limit, listeners may have three quarters. Where there are few of them it is flows
// that have taken the rest, and will leave again: a port may then still be added.
func maxListenerFD(n int) int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxInt
	}
	most := int(min(l.Cur-min(reserved, l.Cur/4), math.MaxInt))
	if n <= most/2 {
		return int(hostsock.ListenerLimit())
	}
	return most
}

// LimitError is a set of rules that needs more sockets than the process may open.
type LimitError struct {
	// Need is the number of descriptors that the rules take, spare ones
	// included, Soft and Hard are the limits (RLIMIT_NOFILE).
	Need, Soft, Hard uint64
}

// Error names the limit, the need and the way out.
func (e *LimitError) Error() string {
	return fmt.Sprintf("Forwarding rules need %d open files, but the limit is %d (hard limit %d)\n"+
		"Raise the hard limit (ulimit -Hn %d, LimitNOFILE= of systemd, limits.conf), or forward fewer ports",
		e.Need, e.Soft, e.Hard, e.Need)
}

// limitError gives the error for rules that ran out of descriptors.
func limitError(rules Rules, cause error) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return cause
	}
	return &LimitError{Need: socketsNeeded(rules) + spareDescriptors, Soft: l.Cur, Hard: l.Max}
}

// socketsNeeded counts the ports that are open all the time.
func socketsNeeded(rules Rules) (n uint64) {
	for _, list := range rules {
		for _, r := range list {
			if !r.Auto {
				n += uint64(r.Last-r.First) + 1
			}
		}
	}
	return n
}

// raiseLimit sets the soft limit on open files to the hard one. The Go runtime
// does so at start too; what started us may have lowered it since.
func raiseLimit() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		// What cannot be raised shows up as a LimitError.
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}
