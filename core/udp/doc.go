// Package udp translates between UDP datagrams on the tap and UDP sockets of the
// host.
//
// A flow is one pair of guest-side endpoints. Outbound, each flow has a socket
// of its own, connected to the host-side destination. Inbound, the flows of all
// clients of a forward share its listening socket, so that replies leave from
// the port and address that the client used.
//
// What costs is system calls, so datagrams travel in batches: those that the guest
// sends in one turn leave with one sendmmsg per flow, in which runs of equal size
// are one message that the kernel cuts (UDP_SEGMENT); those that a socket has are
// read with one recvmmsg, already joined by the kernel (UDP_GRO), and runs of equal
// size become one super-frame for the tap. A socket with a steady stream is read at
// short intervals instead of at every datagram (pace.go).
//
// What an unprivileged socket cannot do: send an ICMP error to a host-side peer.
// When the guest refuses a reply on an outbound flow, the flow's socket is closed
// and the host's kernel refuses the next one by itself. When it refuses a
// datagram of an inbound flow, the flow is forgotten but the client is not told,
// because the listening socket serves other clients too.
//
// Everything belongs to the event loop goroutine; nothing is allocated per
// packet or flow. Import level: above config, below engine.
package udp
