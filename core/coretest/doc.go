// Package coretest holds what tests of the core share: an in-memory tap, a wrapper
// that loses, repeats and reorders frames, builders of the guest's frames and
// checkers of ours. Tests only; a helper that fails says so through testing.TB.
//
// Import level: above tap; imported by tests alone.
package coretest
