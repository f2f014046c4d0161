// Package control lets another process see and change the forwards of a run: a
// protocol over a UNIX socket, its server beside the run, and the client's side.
//
// Server and client are of one release; the protocol is private between them.
// A message is
//
//	length  4 bytes, of the payload, at most 1 MiB
//	type    2 bytes
//	version 2 bytes
//	payload JSON
//
// with numbers in network byte order. The server greets with its capabilities;
// then each request has one answer, a failure if need be. The first request need not wait
// for the greeting: a client that asks nothing may have to give way to others.
//
// The server has goroutines of its own and never holds up traffic: it has bounds
// on time and size, and hands changes to portfwd.Manager. Import level: portfwd.
package control
