package portfwd

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
)

// backlog is the length of the queue of connections that wait for the guest.
const backlog = 128

// ListenOptions is what binding depends on besides the rules.
type ListenOptions struct {
	// V4, V6 tell which families are enabled.
	V4, V6 bool
	// FreeBind allows listening addresses that the host does not have.
	FreeBind bool
}

// ListenError is a port that cannot be bound, or with Last above First a range of
// a best-effort rule of which no port can be bound.
type ListenError struct {
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
		return fmt.Sprintf("All listens failed for HOST %s %s/%d-%d\nCouldn't listen on requested ports",
			e.Rule.Proto, addr, e.First, e.Last)
	}
	return fmt.Sprintf("Listen failed for HOST %s port %s/%d: %s", e.Rule.Proto, addr, e.First, sys.Reason(e.Err))
}

// Unwrap gives the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// Listen binds a host socket for every port of the rules, in the network
// namespace of the calling thread. All ports of a rule are bound or Listen
// fails with a *ListenError and binds none; of a best-effort rule one is enough.
// Sockets are non-blocking, and the caller owns them.
func Listen(rules []fwd.Rule, o ListenOptions) ([]config.Listener, error) {
	var all []config.Listener
	for _, r := range rules {
		list, err := listenRule(r, o)
		all = append(all, list...)
		if err != nil {
			closeAll(all)
			return nil, err
		}
	}
	return all, nil
}

// listenRule binds the ports of one rule. On error it gives those bound so far.
func listenRule(r fwd.Rule, o ListenOptions) (list []config.Listener, err error) {
	var last error
	for port := int(r.First); port <= int(r.Last); port++ { // int: the last may be 65535
		fd, err := listenPort(r, uint16(port), o)
		switch {
		case err == nil:
			list = append(list, config.Listener{FD: fd, Rule: r, Port: uint16(port)})
		case r.BestEffort:
			last = err
		default:
			return list, &ListenError{Rule: r, First: uint16(port), Last: uint16(port), Err: err}
		}
	}
	if len(list) == 0 && last != nil {
		return nil, &ListenError{Rule: r, First: r.First, Last: r.Last, Err: last}
	}
	return list, nil
}

func closeAll(list []config.Listener) {
	for _, l := range list {
		sys.Close(l.FD)
	}
}

// listenAddr gives the address to bind and whether the socket serves both
// families.
func listenAddr(r fwd.Rule, o ListenOptions) (addr netip.Addr, dual bool) {
	switch {
	case r.Listen.IsValid():
		return r.Listen, false
	case !o.V6:
		return netip.IPv4Unspecified(), false
	}
	return netip.IPv6Unspecified(), o.V4
}

// listenPort binds one port; errors are errnos or those of looking up the
// interface of a link-local address.
func listenPort(r fwd.Rule, port uint16, o ListenOptions) (fd int, err error) {
	addr, dual := listenAddr(r, o)
	scope, err := scopeOf(addr, r.IfName)
	if err != nil {
		return -1, err
	}
	family := sys.Family(addr.As16())
	typ := syscall.SOCK_STREAM
	if r.Proto == fwd.UDP {
		typ = syscall.SOCK_DGRAM
	}
	fd, errno := sys.Socket(family, typ, 0)
	if errno != 0 {
		return -1, errno
	}
	bindTo := sys.MakeSockAddr(addr.As16(), port, scope)
	for _, step := range []func() syscall.Errno{
		func() syscall.Errno { return setFamily(fd, family, dual) },
		func() syscall.Errno { return setOptions(fd, family, r, o) },
		func() syscall.Errno { return sys.Bind(fd, &bindTo) },
		func() syscall.Errno { return startListening(fd, r.Proto) },
	} {
		if errno := step(); errno != 0 {
			sys.Close(fd)
			return -1, errno
		}
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

func setFamily(fd, family int, dual bool) syscall.Errno {
	if family == syscall.AF_INET {
		return 0
	}
	return sys.SetIPv6Only(fd, !dual)
}

// setOptions sets what has to be there before bind. For TCP a port that only has
// connections in TIME_WAIT is free; UDP would share the port with others.
func setOptions(fd, family int, r fwd.Rule, o ListenOptions) syscall.Errno {
	if r.IfName != "" {
		if errno := sys.BindToDevice(fd, r.IfName); errno != 0 {
			return errno
		}
	}
	if o.FreeBind {
		if errno := sys.SetFreeBind(fd, family); errno != 0 {
			return errno
		}
	}
	if r.Proto == fwd.UDP {
		return sys.SetPktInfo(fd, family)
	}
	return sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
}

func startListening(fd int, proto fwd.Proto) syscall.Errno {
	if proto == fwd.UDP {
		return 0
	}
	return sys.Listen(fd, backlog)
}
