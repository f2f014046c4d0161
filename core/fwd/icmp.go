package fwd

import (
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// HostError translates an error that a host-side socket met into the message for
// the guest. The caller has filled in m's Dst, Peer and Proto; host is the
// host-side address that Peer stands for. ok is false for errors that have no such
// message.
func (m *Map) HostError(e *sys.ExtendedErr, host packet.Addr, msg *packet.ICMPError) (ok bool) {
	v4 := msg.Dst.Is4()
	got := message{e.Type, e.Code}
	switch {
	case e.Origin == sys.OriginLocal:
		got, ok = localError(e, v4)
	case e.Origin == sys.OriginICMP && v4:
		ok = e.Type == packet.ICMPUnreachable || e.Type == packet.ICMPTimeExceeded
	case e.Origin == sys.OriginICMP6 && !v4:
		ok = e.Type >= packet.ICMPv6Unreachable && e.Type <= packet.ICMPv6TimeExceeded
	}
	if !ok {
		return false
	}
	msg.Type, msg.Code, msg.Info = got.typ, got.code, 0
	if e.Errno == syscall.EMSGSIZE {
		msg.Info = e.Info
	}
	msg.Src = m.offender(packet.Addr(e.Offender), host, msg)
	return true
}

// message is type and code of an ICMP or ICMPv6 error.
type message struct{ typ, code uint8 }

// What the guest is told of errors that the host's own stack reports.
var (
	noRoute4 = message{packet.ICMPUnreachable, packet.ICMPCodeNet}
	noHost4  = message{packet.ICMPUnreachable, packet.ICMPCodeHost}
	admin4   = message{packet.ICMPUnreachable, packet.ICMPCodeAdmin}
	tooBig4  = message{packet.ICMPUnreachable, packet.ICMPCodeFragNeeded}
	noRoute6 = message{packet.ICMPv6Unreachable, packet.ICMPv6CodeNoRoute}
	noHost6  = message{packet.ICMPv6Unreachable, packet.ICMPv6CodeAddr}
	admin6   = message{packet.ICMPv6Unreachable, packet.ICMPv6CodeAdmin}
	tooBig6  = message{packet.ICMPv6TooBig, 0}
)

// localErrors is RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1 for IPv4,
// RFC 4443 sections 3.1 and 3.2 for IPv6.
var localErrors = [...]struct {
	errno  syscall.Errno
	v4, v6 message
}{
	{syscall.ENETUNREACH, noRoute4, noRoute6},
	{syscall.ENETDOWN, noRoute4, noRoute6},
	{syscall.EADDRNOTAVAIL, noRoute4, noRoute6},
	{syscall.EHOSTUNREACH, noHost4, noHost6},
	{syscall.EHOSTDOWN, noHost4, noHost6},
	{syscall.EACCES, admin4, admin6}, // by a route
	{syscall.EPERM, admin4, admin6},  // by a filter
	{syscall.EMSGSIZE, tooBig4, tooBig6},
}

// localError finds the message for an error of the host's own stack. That a
// packet is too big makes one only together with the size that is not: the error
// queue has it, the errno of a system call has not.
func localError(e *sys.ExtendedErr, v4 bool) (m message, ok bool) {
	if e.Errno == syscall.EMSGSIZE && e.Info == 0 {
		return m, false
	}
	for i := range localErrors {
		l := &localErrors[i]
		if l.errno != e.Errno {
			continue
		}
		if v4 {
			return l.v4, true
		}
		return l.v6, true
	}
	return m, false
}

// linkLocalOr is our own link-local address for an IPv6 peer, if there is one, else the peer.
func (m *Map) linkLocalOr(peer packet.Addr) packet.Addr {
	if peer.Is4() {
		return peer
	}
	return first(m.OurLinkLocal, peer)
}

// offender is who the guest takes for the reporter of an error: the peer itself,
// a router by its own address, or us.
func (m *Map) offender(a, host packet.Addr, msg *packet.ICMPError) packet.Addr {
	switch {
	case a.IsZero() || a.Is4() != msg.Dst.Is4():
		return first(m.Family(msg.Dst).Our, m.linkLocalOr(msg.Peer))
	case a == host:
		return msg.Peer
	}
	if src, ok := m.GuestSource(a); ok {
		return src
	}
	return msg.Peer
}
