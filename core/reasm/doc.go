// Package reasm puts packets together from the fragments that the guest sends: of
// its own, where they exceed the MTU, and of those that it forwards for others, from
// networks whose MTU is less than that of the tap. (Netfilter's connection tracking
// puts those together on the way, but may cut the packet again as it was.)
//
// Memory is bounded, and none is taken before the first fragment comes: then as much
// as there are packets incomplete at a time. After that nothing allocates.
//
// Everything is owned by the event loop goroutine.
//
// Import level: above config, below engine.
package reasm
