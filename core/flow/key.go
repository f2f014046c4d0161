// Package flow tracks conversations: fixed-size tables from key to slot, keyed
// hashes, and deadlines. Protocol packages keep their own state in slices
// indexed by the slot number. Nothing allocates after construction, and nothing in
// here holds a pointer per flow. Owned by the event loop goroutine.
//
// Import level: above pcap, below fwd.
package flow

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/packet"
)

// Key identifies a flow of one protocol by its guest side: the guest's endpoint
// and the endpoint that the guest takes for its peer.
type Key struct {
	Guest, Peer         packet.Addr
	GuestPort, PeerPort uint16 // host byte order; ICMP echo: the identifier and 0
}

// hash is SipHash-2-4 of k, so that a guest cannot choose colliding flows.
func (k *Key) hash(s *Secret) uint64 {
	return s.sum(
		binary.LittleEndian.Uint64(k.Guest[0:]), binary.LittleEndian.Uint64(k.Guest[8:]),
		binary.LittleEndian.Uint64(k.Peer[0:]), binary.LittleEndian.Uint64(k.Peer[8:]),
		uint64(k.GuestPort)<<16|uint64(k.PeerPort),
	)
}
