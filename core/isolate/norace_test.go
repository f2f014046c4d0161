//go:build !race

package isolate

// raceEnabled tells whether the race detector, and with it cgo, is built in.
const raceEnabled = false
