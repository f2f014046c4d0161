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
	msg.Info = 0
	v4 := msg.Dst.Is4()
	switch {
	case e.Origin == sys.OriginLocal && v4:
		ok = localError4(e, msg)
	case e.Origin == sys.OriginLocal:
		ok = localError6(e, msg)
	case e.Origin == sys.OriginICMP && v4:
		ok = e.Type == packet.ICMPUnreachable || e.Type == packet.ICMPTimeExceeded
		msg.Type, msg.Code = e.Type, e.Code
	case e.Origin == sys.OriginICMP6 && !v4:
		ok = e.Type >= packet.ICMPv6Unreachable && e.Type <= packet.ICMPv6TimeExceeded
		msg.Type, msg.Code = e.Type, e.Code
	}
	if e.Errno == syscall.EMSGSIZE {
		msg.Info = e.Info
	}
	msg.Src = m.offender(packet.Addr(e.Offender), host, msg)
	return ok
}

// localError4 is for errors that the host's own stack reports (RFC 1122 section 3.2.2.1).
func localError4(e *sys.ExtendedErr, msg *packet.ICMPError) bool {
	msg.Type = packet.ICMPUnreachable
	switch e.Errno {
	case syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL:
		msg.Code = packet.ICMPCodeNet
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		msg.Code = packet.ICMPCodeHost
	case syscall.EACCES, syscall.EPERM: // the host's own filter
		msg.Code = packet.ICMPCodeAdmin
	case syscall.EMSGSIZE:
		msg.Code = packet.ICMPCodeFragNeeded
	default:
		return false
	}
	return true
}

// localError6 is localError4 for IPv6 (RFC 4443 sections 3.1 and 3.2).
func localError6(e *sys.ExtendedErr, msg *packet.ICMPError) bool {
	msg.Type = packet.ICMPv6Unreachable
	switch e.Errno {
	case syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL:
		msg.Code = packet.ICMPv6CodeNoRoute
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		msg.Code = packet.ICMPv6CodeAddr
	case syscall.EACCES, syscall.EPERM: // the host's own filter
		msg.Code = packet.ICMPv6CodeAdmin
	case syscall.EMSGSIZE:
		msg.Type, msg.Code = packet.ICMPv6TooBig, 0
	default:
		return false
	}
	return true
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
