// Package splice carries flows between two sockets without frames: the bypass for
// traffic between loopback addresses of host and namespace.
//
// TCP moves through pipes with splice(2), which passes pages on and copies nothing.
// A pipe belongs to a direction only while there are bytes in it, so that idle
// connections cost two descriptors and a stalled one a third pair:
//
//	accepted socket --splice--> pipe --splice--> connected socket   dir[0]
//	accepted socket <--splice-- pipe <--splice-- connected socket   dir[1]
//
// Sockets are watched edge-triggered. What the destination does not take stays in
// the pipe, and behind it in the source's receive queue, until the kernel tells
// that there is room: nothing runs while one end stalls, and the source's window
// closes.
//
// Everything belongs to the event loop goroutine. Nothing allocates after New.
//
// Import level: with tcp, udp and icmp, above config.
package splice
