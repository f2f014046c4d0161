package portfwd

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
)

// backlog is the length of the queue of connections that wait for the guest.
const backlog = 128

// ListenError is a port that cannot be bound, or for a best-effort rule its whole
// range, of which no port can be bound.
type ListenError struct {
	Pif         fwd.Pif
	Rule        fwd.Rule
	First, Last uint16
	// Err holds the errno.
	Err error
}

// Error returns the text that callers of the command line see.
func (e *ListenError) Error() string {
	addr := "*"
	if e.Rule.Listen.IsValid() && !e.Rule.Listen.IsUnspecified() {
		addr = e.Rule.Listen.String()
	}
	if e.Rule.IfName != "" {
		addr += "%" + e.Rule.IfName
	}
	if e.Rule.BestEffort {
		return fmt.Sprintf("All listens failed for %s %s %s/%d-%d\nCouldn't listen on requested ports",
			e.Pif, e.Rule.Proto, addr, e.First, e.Last)
	}
	return fmt.Sprintf("Listen failed for %s %s port %s/%d: %s", e.Pif, e.Rule.Proto, addr, e.First, sys.Reason(e.Err))
}

// Unwrap gives the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// binding is one port of a rule to be bound.
type binding struct {
	rule fwd.Rule
	port uint16
	// v4, v6 tell which families a wildcard covers.
	v4, v6 bool
	// freeBind allows an address that the host does not have.
	freeBind bool
	// shared are ports that UDP flows use which outlived a listener, and nobody else.
	shared *PortSet
	// maxFD is the lowest descriptor that the socket may not have.
	maxFD int
}

// addr gives the address to bind and whether the socket serves both families.
func (b *binding) addr() (addr netip.Addr, dual bool) {
	switch {
	case b.rule.Listen.IsValid():
		return b.rule.Listen, false
	case !b.v6:
		return netip.IPv4Unspecified(), false
	}
	return netip.IPv6Unspecified(), b.v4
}

// open binds the port, in the network namespace of the calling thread. The socket is
// non-blocking and listens if it is one of TCP.
func (b *binding) open() (fd int, err error) {
	addr, dual := b.addr()
	scope, err := scopeOf(addr, b.rule.IfName)
	if err != nil {
		return -1, err
	}
	family := sys.Family(addr.As16())
	typ := syscall.SOCK_STREAM
	if b.rule.Proto == fwd.UDP {
		typ = syscall.SOCK_DGRAM
	}
	fd, errno := sys.Socket(family, typ, 0)
	if errno != 0 {
		return -1, errno
	}
	if fd >= b.maxFD {
		sys.Close(fd)
		return -1, syscall.EMFILE
	}
	if errno := b.setOptions(fd, family, dual); errno != 0 {
		sys.Close(fd)
		return -1, errno
	}
	if errno := b.start(fd, sys.MakeSockAddr(addr.As16(), b.port, scope)); errno != 0 {
		sys.Close(fd)
		return -1, errno
	}
	return fd, nil
}

// scopeOf is the interface index that a link-local address needs, else 0.
func scopeOf(addr netip.Addr, ifName string) (uint32, error) {
	if !addr.Is6() || !addr.IsLinkLocalUnicast() || ifName == "" {
		return 0, nil
	}
	ifi, err := net.InterfaceByName(ifName)
	if err != nil {
		return 0, syscall.ENODEV
	}
	return uint32(ifi.Index), nil
}

// setOptions sets what has to be there before bind. For TCP a port that only has
// connections in TIME_WAIT is free; UDP would share the port with others.
func (b *binding) setOptions(fd, family int, dual bool) syscall.Errno {
	if family == syscall.AF_INET6 {
		if errno := sys.SetIPv6Only(fd, !dual); errno != 0 {
			return errno
		}
	}
	if b.rule.IfName != "" {
		if errno := sys.BindToDevice(fd, b.rule.IfName); errno != 0 {
			return errno
		}
	}
	if b.freeBind {
		if errno := sys.SetFreeBind(fd, family); errno != 0 {
			return errno
		}
	}
	if b.rule.Proto == fwd.UDP {
		return sys.SetPktInfo(fd, family)
	}
	return setReuse(fd, 1)
}

func setReuse(fd, on int) syscall.Errno {
	return sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, on)
}

// start binds, and listens for TCP.
func (b *binding) start(fd int, addr sys.SockAddr) syscall.Errno {
	errno := sys.Bind(fd, &addr)
	if errno == syscall.EADDRINUSE && b.shared != nil && b.shared.Has(b.port) {
		if errno = setReuse(fd, 1); errno == 0 {
			errno = sys.Bind(fd, &addr)
			_ = setReuse(fd, 0) // others may not share it
		}
	}
	if errno != 0 || b.rule.Proto == fwd.UDP {
		return errno
	}
	return sys.Listen(fd, backlog)
}
