// Package nofile remembers the limit on open descriptors that the process was
// started with. The Go runtime raises the soft limit to the hard one at start, as
// the daemon wants it, and puts it back only in programs executed by package
// syscall. The commands of our users must not inherit the raised one either: what
// uses select(2) counts on a low limit.
//
// It is package syscall that raises the limit, when it is initialized, and this
// package comes before: of all packages whose imports are ready, the language
// initializes the one with the smallest import path. Hence the rule for this
// package: it imports nothing, and so has a system call of its own.
// TestOriginal notices when that order changes.
//
// Import level: a leaf of core.
package nofile

// limit is struct rlimit64 (prlimit(2)).
type limit struct{ soft, hard uint64 }

// getrlimit reads RLIMIT_NOFILE; it returns 0 or a negative errno.
//
//go:noescape
func getrlimit(l *limit) int

var original, known = read()

func read() (l limit, ok bool) {
	ok = getrlimit(&l) == 0
	return l, ok
}

// Original gives the soft and the hard limit that the process was started with;
// false if the kernel did not tell.
func Original() (soft, hard uint64, ok bool) { return original.soft, original.hard, known }
