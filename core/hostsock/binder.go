// Package hostsock is what the host-side sockets of all protocols have in
// common: where those of outbound flows are bound, which ones outlive a listener, and how
// many descriptors they may have.
//
// A Limit may be used by any goroutine; the rest is owned by the event loop's. Import
// level: with config, above fwd.
package hostsock

import (
	"log/slog"
	"syscall"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// Binder binds sockets of outbound flows to the source that is configured for
// them. A source that cannot be had is not fatal: the kernel chooses then, which
// is said once. What goes to the host's loopback has no configured source, unless
// that is wanted (OutboundLoopback).
type Binder struct {
	nat   *fwd.Map
	log   *slog.Logger
	proto string
	// said what cannot be had, by IP version: interface, address.
	said [2][2]bool
}

// What Binder.said is about.
const (
	ifName = iota
	address
)

// NewBinder makes a binder for the protocol that logs name proto.
func NewBinder(nat *fwd.Map, log *slog.Logger, proto string) Binder {
	return Binder{nat: nat, log: log, proto: proto}
}

// Device has fd talk to host through the configured interface. It comes
// before binding.
func (b *Binder) Device(fd int, host packet.Addr) {
	name := b.nat.Family(host).OutboundIf
	if name == "" || host.IsLoopback() {
		return
	}
	if errno := sys.BindToDevice(fd, name); errno != 0 && b.first(host, ifName) {
		b.log.Warn("bind outbound sockets to interface", "proto", b.proto, "interface", name, "err", errno)
	}
}

// Port binds fd to port, in host byte order (of a ping socket: the identifier),
// and to the configured address for talking to host. scope is the interface
// index that a link-local address needs, else 0.
func (b *Binder) Port(fd int, host packet.Addr, port uint16, scope uint32) syscall.Errno {
	a := sys.MakeSockAddr(b.source(host), port, scope)
	return sys.Bind(fd, &a)
}

// Addr binds fd to the configured address alone, if there is one; the kernel
// chooses the port, and does it when fd connects: a TCP port chosen before would
// serve one connection, one chosen then serves one to each destination.
func (b *Binder) Addr(fd int, host packet.Addr, scope uint32) {
	src := b.source(host)
	if src.IsUnspecified() {
		return // connecting or sending picks the address too
	}
	_ = sys.SetInt(fd, syscall.IPPROTO_IP, sys.BindAddressNoPort, 1)
	if errno := b.Port(fd, host, 0, scope); errno != 0 && b.first(host, address) {
		b.log.Warn("bind outbound sockets to address", "proto", b.proto, "addr", src.Netip(), "err", errno)
	}
}

// source is the address to bind sockets to that talk to host.
func (b *Binder) source(host packet.Addr) packet.Addr {
	f := b.nat.Family(host)
	if !f.Outbound.IsZero() && (f.OutboundLoopback || !host.IsLoopback()) {
		return f.Outbound
	}
	if host.Is4() {
		return packet.AddrFrom4([4]byte{})
	}
	return packet.Addr{}
}

// first tells whether what has not been said yet for the IP version of host.
func (b *Binder) first(host packet.Addr, what int) bool {
	version := 0
	if host.Is4() {
		version = 1
	}
	said := &b.said[version][what]
	if *said {
		return false
	}
	*said = true
	return true
}
