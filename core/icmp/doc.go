// Package icmp translates ICMP and ICMPv6 echo between the tap and the host's
// unprivileged ping sockets (icmp(7)). A flow is a guest address, a destination
// and an identifier; each has a socket, bound to the identifier if that is free.
//
// Replies go to the guest, and so do the ICMP errors that requests meet. All
// other ICMP of the guest is dropped; its errors about UDP flows are for
// package udp.
//
// Everything belongs to the event loop goroutine; nothing is allocated per
// packet or flow. Import level: above config, below engine.
package icmp
