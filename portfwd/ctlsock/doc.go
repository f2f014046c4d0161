// Package ctlsock is the UNIX socket on which other processes ask for changes of a
// run: bound with mode 0600 before the sandbox, and closed to other users and to the
// guest whatever becomes of that mode. What is spoken on it is up to others
// (portfwd/control, compat).
//
// A listener may be used by any goroutine. Import level: portfwd.
package ctlsock
