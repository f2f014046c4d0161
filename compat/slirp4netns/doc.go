// Package slirp4netns is the personality of slirp4netns: its command line, messages,
// address plan and JSON API in front of the shared core.
//
// The process that the caller started serves the guest itself, so that signals, limits
// and /proc entries are those of the process ID that the caller knows; only where
// joining a user namespace takes another process does a helper open the tap
// (netcfg/attach), or a child do all the work (--enable-sandbox of an ordinary user).
//
// Run is called once, on the main goroutine. Import level: compat.
package slirp4netns
