//go:build race

package daemon

// raceEnabled tells whether the race detector is built in.
const raceEnabled = true
