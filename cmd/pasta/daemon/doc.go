// Package daemon runs one personality: start-up order, daemonising, PID and log
// files, signals. It is the only place that wires the other packages together.
//
// Import level: cmd, the top.
package daemon
