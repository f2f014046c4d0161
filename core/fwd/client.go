package fwd

import "github.com/pasta-net/pasta/core/packet"

// Client is a sender of datagrams to a listener: what answers need.
type Client struct {
	// Listener is the descriptor of the listening socket, which has address
	// family Family and port Port.
	Listener, Family int
	Port             uint16
	// Addr and AddrPort are the client's, Local is the address it sent to.
	Addr, Local packet.Addr
	AddrPort    uint16
}
