// Package packet reads and writes the headers of Ethernet frames: views over
// byte slices and builders. It does no I/O and keeps no state; every length comes
// from a slice, never from the packet alone.
//
// Import level: just above the leaves checksum and seqnum.
package packet

import "net/netip"

// Addr is an IPv6 address, or an IPv4 address in its IPv4-mapped form (RFC
// 4291 section 2.5.5.2), in network byte order. It holds no pointer, so
// tables keyed by it are invisible to the garbage collector.
type Addr [16]byte

// v4Prefix is ::ffff:0:0/96.
var v4Prefix = [12]byte{10: 0xff, 11: 0xff}

// AddrFrom4 maps four bytes of an IPv4 header.
func AddrFrom4(b [4]byte) (a Addr) {
	copy(a[:12], v4Prefix[:])
	copy(a[12:], b[:])
	return a
}

// AddrFrom converts from netip; the zero netip.Addr gives the zero Addr.
func AddrFrom(ip netip.Addr) Addr {
	if !ip.IsValid() {
		return Addr{}
	}
	return Addr(ip.As16())
}

// Netip converts to netip, unmapping IPv4. For set-up and logs, not per packet.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Is4 tells whether a is an IPv4 address.
func (a Addr) Is4() bool { return [12]byte(a[:12]) == v4Prefix }

// As4 gives the IPv4 address in a.
func (a Addr) As4() [4]byte { return [4]byte(a[12:]) }

// Wire gives the bytes as they stand in an IP header: 4 or 16 of them.
func (a *Addr) Wire() []byte {
	if a.Is4() {
		return a[12:]
	}
	return a[:]
}

// IsZero tells whether a is the zero value: no address (also ::).
func (a Addr) IsZero() bool { return a == Addr{} }

// IsUnspecified tells whether a is 0.0.0.0 or ::.
func (a Addr) IsUnspecified() bool {
	return a.IsZero() || a == AddrFrom4([4]byte{})
}

// IsLoopback tells whether a is in 127.0.0.0/8 or is ::1.
func (a Addr) IsLoopback() bool {
	if a.Is4() {
		return a[12] == 127
	}
	return a == Addr{15: 1}
}

// IsMulticast tells whether a is in 224.0.0.0/4 or ff00::/8.
func (a Addr) IsMulticast() bool {
	if a.Is4() {
		return a[12]&0xf0 == 0xe0
	}
	return a[0] == 0xff
}

// IsLinkLocal tells whether a is in 169.254.0.0/16 or fe80::/10.
func (a Addr) IsLinkLocal() bool {
	if a.Is4() {
		return a[12] == 169 && a[13] == 254
	}
	return a[0] == 0xfe && a[1]&0xc0 == 0x80
}

// IsBroadcast tells whether a is 255.255.255.255.
func (a Addr) IsBroadcast() bool {
	return a.Is4() && [4]byte(a[12:]) == [4]byte{255, 255, 255, 255}
}

// MAC is an Ethernet address.
type MAC [6]byte

// Broadcast is the Ethernet broadcast address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// IsUnicast tells whether m is a usable station address: not a group, not zero.
func (m MAC) IsUnicast() bool { return m[0]&1 == 0 && m != MAC{} }
