package fwd

import "github.com/pasta-net/pasta/core/packet"

// Bypass tells which flows go from socket to socket, without frames. Flows of
// listeners in the namespace always do.
type Bypass struct {
	// Inbound: clients on the host's loopback are bypassed to the namespace.
	Inbound bool
	// SameLoopback: they reach the loopback address that they asked for, in the
	// namespace. Otherwise the guest's own address, so that what listens on the
	// namespace's loopback only is left to the namespace.
	SameLoopback bool
	// Only: there is no tap. Clients that are not bypassed are refused, and as
	// the guest has no address of its own, SameLoopback is implied.
	Only bool
	// All clients of listeners on the host are bypassed, wherever they are, to the
	// target addresses of the rules. Without one they are refused. There is no tap.
	All bool
	// ShowClients has a loopback target see the clients' own addresses where they
	// are not loopback ones, if the sockets in the namespace may be bound to those.
	ShowClients bool
}

// KeepsLoopback tells whether the address that an inbound client asked for matters.
func (b *Bypass) KeepsLoopback() bool { return b.Inbound && (b.SameLoopback || b.Only) }

// Path is how a flow of a forward is carried.
type Path uint8

// The paths.
const (
	// PathTap translates to frames.
	PathTap Path = iota
	// PathSplice goes from socket to socket.
	PathSplice
	// PathRefused goes nowhere.
	PathRefused
)

// Target is where a bypassed flow goes.
type Target struct {
	// Pif is where the socket that connects lives: Splice for the namespace.
	Pif  Pif
	Addr packet.Addr
	Port uint16
	// Client is what the socket is to be bound to, so that the target sees it; zero:
	// whatever the kernel chooses.
	Client     packet.Addr
	ClientPort uint16
}

// Path chooses how a flow is carried that came to a listener on pif: client is who
// speaks, local the address that it spoke to, and target the address of the rule,
// zero for none. dst is the destination of a flow on PathSplice, whose socket
// lives on the other pif.
func (m *Map) Path(pif Pif, client, local, target packet.Addr) (p Path, dst packet.Addr) {
	if pif == Splice {
		return outboundPath(client, local, target)
	}
	b := &m.Bypass
	switch {
	case b.All && target.IsZero():
		return PathRefused, dst
	case b.All:
		return PathSplice, target
	case target.IsLoopback() && b.Inbound: // which no frame could reach
		return PathSplice, target
	case target.IsZero() && b.Inbound && client.IsLoopback():
		dst = m.spliceAddr(client, local)
	}
	switch {
	case !dst.IsZero():
		return PathSplice, dst
	case b.Only || target.IsLoopback():
		return PathRefused, dst
	}
	return PathTap, dst
}

// Shown is the address that the target at dst of a bypassed flow from client is to
// see; zero: no matter which.
func (m *Map) Shown(client, dst packet.Addr) packet.Addr {
	if !m.Bypass.ShowClients || client.IsLoopback() || !dst.IsLoopback() || client.Is4() != dst.Is4() {
		return packet.Addr{}
	}
	return client
}

// outboundPath is for listeners in the namespace. They are bound to its loopback
// interface, which also carries what the guest sends to its own addresses: that is
// not meant for the host.
func outboundPath(client, local, target packet.Addr) (Path, packet.Addr) {
	switch {
	case !local.IsLoopback() || !client.IsLoopback():
		return PathRefused, packet.Addr{}
	case target.IsZero():
		return PathSplice, local
	}
	return PathSplice, target
}

// spliceAddr is where in the namespace a client on the host's loopback gets that
// asked for local; zero if it has to take the tap. A link-local IPv6 address of the
// guest has: we do not know its interface there.
func (m *Map) spliceAddr(client, local packet.Addr) packet.Addr {
	if m.Bypass.KeepsLoopback() && local.IsLoopback() {
		return local
	}
	if m.Bypass.Only {
		return packet.Addr{}
	}
	dst := m.GuestAddr(client, packet.Addr{})
	if !dst.Is4() && dst.IsLinkLocal() {
		return packet.Addr{}
	}
	return dst
}
