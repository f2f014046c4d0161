// Package reasm puts packets together from the fragments that the guest sends: of
// its own, where they exceed the MTU, and of those that it forwards for others. With
// netfilter's connection tracking they leave it in the pieces in which they came,
// whatever the MTU of the tap.
//
// Memory is bounded, and none is taken before the first fragment comes: then as much
// as there are packets incomplete at a time. After that nothing allocates.
//
// Everything is owned by the event loop goroutine.
//
// Import level: above config, below engine.
package reasm
