// Package netcfg decides how a guest is addressed and applies that decision.
//
// plan.go is pure: host state and options in, wanted state out. apply.go carries
// a plan out in a network namespace; watch.go follows changes. Runs before the
// event loop starts, on any goroutine (apply: on a thread in the target namespace).
//
// Import level: above core, below portfwd.
package netcfg
