package udp

import (
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// loopbackIndex is the index of the loopback interface in every network namespace.
const loopbackIndex = 1

// forged tells whether a datagram has a source that nobody has where it comes from. The
// kernel lets some through, from a neighbour on a link, and takes an answer to an
// unspecified address for its own loopback.
func forged(src packet.Addr, c *sys.Control) bool {
	dst := packet.Addr(c.Dst)
	switch {
	// From outside with net.ipv4.conf.*.route_localnet. What a client of the host sends from
	// there to another address of the host looks the same, and is dropped as well.
	case src.IsLoopback():
		return c.IfIndex != loopbackIndex
	case !dst.IsZero() && src.Is4() != dst.Is4(): // IPv4-mapped in an IPv6 packet
		return true
	}
	return !fwd.ValidSource(src)
}
