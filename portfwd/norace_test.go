//go:build !race

package portfwd

// slowdown is how much longer work may take than usual.
const slowdown = 1
