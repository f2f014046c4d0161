package splice

import (
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/sys"
)

// Sockets hands out sockets of the target namespace, in which the loop cannot make any.
type Sockets interface {
	// Take gives an unconnected, non-blocking socket, which is the caller's from
	// then on, or -1 if there never is one. ok is false if there is none at the
	// moment; the function given to Notify is then called once there are more.
	Take(family, typ int) (fd int, ok bool)
	// Raw gives a socket that sends whole packets of an IP version (IPPROTO_RAW),
	// which is the caller's from then on, or -1.
	Raw(family int) int
	// Notify sets that function. Any goroutine may call it.
	Notify(f func())
}

// showClient binds fd to the client of t: with its port, else with another one. A
// socket that may not be bound to foreign addresses stays as it is.
func showClient(fd int, t *fwd.Target) {
	for _, port := range [...]uint16{t.ClientPort, 0} {
		own := sys.MakeSockAddr(t.Client, port, 0)
		if sys.Bind(fd, &own) == 0 {
			return
		}
	}
}

// takeSocket gives a socket of type typ for connecting to t, -1 if none can be made;
// ok is false if there will be one later. One of the host keeps to limit, as those in
// s did when they were made.
func takeSocket(s Sockets, t *fwd.Target, typ int, limit hostsock.Limit) (fd int, ok bool) {
	family := sys.Family(t.Addr)
	switch {
	case t.Pif == fwd.Splice && s == nil:
		return -1, true
	case t.Pif == fwd.Splice:
		return s.Take(family, typ)
	}
	fd, errno := limit.Check(sys.Socket(family, typ, 0))
	if errno != 0 {
		fd = -1
	}
	return fd, true
}
