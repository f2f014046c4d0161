//go:build !race

package portfwd

// slowdown is how much longer work may take than on a quiet machine.
const slowdown = 2
