// Package rest serves RootlessKit's REST API on a UNIX socket, so that rootlessctl
// and whatever else speaks it shows and changes the published ports of a run:
//
//	GET    /v1/info        what runs here
//	GET    /v1/ports       the ports
//	POST   /v1/ports       publishes one
//	DELETE /v1/ports/{id}  closes one
//
// HEAD is answered as by any web server, with the header of GET; RootlessKit's own does
// not know it.
//
// HTTP/1.1 (RFC 9112) is spoken as far as clients of this API do. The web server of
// the standard library, with TLS and all, would make the program two thirds larger.
//
// A server has goroutines of its own. Import level: compat.
package rest
