//go:build race

package portfwd

// slowdown is how much longer work may take than usual: the race detector costs
// five to ten times.
const slowdown = 10
