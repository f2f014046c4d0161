// Package pesto is the personality that shows and changes the forwards of a
// running pasta, through its control socket (portfwd/control).
//
// The options are a program: each one works on a copy of the tables, which is
// sent in one piece at the end, so that a run changes all that it asks for or
// nothing. Runs once, on the main goroutine. Import level: compat.
package pesto
