// Package resolv reads resolv.conf(5): the resolvers and the search domains
// that the host uses. Pure functions, for any goroutine.
//
// Import level: netcfg.
package resolv

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
)

// Path is the usual place of the file.
const Path = "/etc/resolv.conf"

// Limits on what is taken over from a file; the rest is ignored.
const (
	// MaxServers is the number of resolvers of each family.
	MaxServers = 3
	// MaxSearch is the number of search domains.
	MaxSearch = 5
	// maxBytes bounds what is read. glibc's own limits need far less.
	maxBytes = 1 << 20
)

// Conf is what a resolv.conf says.
type Conf struct {
	// Servers are the resolvers in file order, both families mixed, at most
	// MaxServers of each, loopback ones included.
	Servers []netip.Addr
	// Search are the domains of the first search line, at most MaxSearch.
	Search []string
}

// Read reads the file at path.
func Read(path string) (Conf, error) {
	f, err := os.Open(path)
	if err != nil {
		return Conf{}, fmt.Errorf("read resolvers: %w", err)
	}
	defer func() { _ = f.Close() }()
	return Parse(f)
}

// Parse reads a resolv.conf. Only lines that start with "nameserver" or
// "search" count, followed by any blank; anything after '#' or ';' is a
// comment. Lines that make no sense are ignored: a host with an odd file must
// still get a network. Errors are those of r.
func Parse(r io.Reader) (Conf, error) {
	var c Conf
	sc := bufio.NewScanner(io.LimitReader(r, maxBytes))
	sc.Buffer(nil, maxBytes+1)
	for sc.Scan() {
		c.line(sc.Text())
	}
	if err := sc.Err(); err != nil {
		return Conf{}, fmt.Errorf("read resolvers: %w", err)
	}
	return c, nil
}

// line takes over one line.
func (c *Conf) line(text string) {
	if i := strings.IndexAny(text, "#;"); i >= 0 {
		text = text[:i]
	}
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return
	}
	// A leading blank makes a line none of ours, as for the C library.
	switch {
	case strings.HasPrefix(text, "nameserver") && fields[0] == "nameserver":
		c.server(fields[1])
	case strings.HasPrefix(text, "search") && fields[0] == "search" && c.Search == nil:
		c.Search = searchList(fields[1:])
	}
}

// searchList cuts the list to its limit. The root domain, which systemd-resolved
// writes for "no domain", is left out: it adds nothing to a name.
func searchList(domains []string) []string {
	list := []string{}
	for _, d := range domains {
		if d != "." && len(list) < MaxSearch {
			list = append(list, d)
		}
	}
	return list
}

// server takes over one resolver. A zone (fe80::1%eth0) names an interface of
// the host and means nothing to a guest, so it is cut.
func (c *Conf) server(text string) {
	text, _, _ = strings.Cut(text, "%")
	a, err := netip.ParseAddr(text)
	if err != nil || a.IsUnspecified() || a.IsMulticast() {
		return
	}
	a = a.Unmap()
	if len(Family(c.Servers, a.Is6())) < MaxServers {
		c.Servers = append(c.Servers, a)
	}
}

// Family lists the IPv6 or the IPv4 addresses of a list, in order.
func Family(list []netip.Addr, v6 bool) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		if a.Is6() == v6 {
			out = append(out, a)
		}
	}
	return out
}
