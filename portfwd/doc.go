// Package portfwd turns port forwarding specifications (-t, -u, -T, -U) into
// forward rules and binds their listeners.
//
// The parser and the rule table are plain data without owner; the caller
// serialises access. Import level: portfwd, above netcfg, below compat.
package portfwd
