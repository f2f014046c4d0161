package slirp4netns

import (
	"fmt"
	"io"
	"net/netip"
)

// Limits and defaults of the command line.
const (
	defaultCIDR = "10.0.2.0/24"
	defaultMTU  = 1500
	maxMTU      = 65521
	// maxIfName is the longest name of an interface (IFNAMSIZ less the final zero).
	maxIfName = 15
	// maxSocketPath is the size of sun_path in struct sockaddr_un (unix(7)).
	maxSocketPath = 108
)

// The ways to read the first operand.
const (
	netnsPID   = "pid"
	netnsPath  = "path"
	netnsTapFD = "tapfd"

	targetNetns = "netns"
	targetBess  = "bess"
)

// noFD is a descriptor that was not given.
const noFD = -1

// settings are what the command line asks for.
type settings struct {
	stdout io.Writer

	configure, ipv6, sandbox, seccomp bool
	disableHostLoopback, disableDNS   bool
	mtu                               int
	readyFD, exitFD                   int
	apiSocket, usernsPath             string
	netnsType, targetType             string
	cidr, mac                         string
	macGiven                          bool
	// outbound are the sources of host-side sockets, for IPv4 and IPv6.
	outbound [2]source

	// The operands. Which ones are set depends on the types.
	pid, tapFD   int
	path, ifName string

	// What the values of the options above mean.
	network    network
	macAddress *[6]byte
}

// source is the value of --outbound-addr or --outbound-addr6.
type source struct {
	given bool
	text  string
	addr  netip.Addr
}

func newSettings(stdout io.Writer) *settings {
	return &settings{
		stdout: stdout, mtu: defaultMTU, readyFD: noFD, exitFD: noFD, tapFD: noFD,
		targetType: targetNetns, cidr: defaultCIDR,
	}
}

// namespaceType is how the first operand is read.
func (s *settings) namespaceType() string {
	if s.netnsType == "" {
		return netnsPID
	}
	return s.netnsType
}

// warn prints a line that does not end the run, on standard output like upstream.
func (s *settings) warn(text string) {
	_, _ = fmt.Fprintln(s.stdout, "WARNING: "+text)
}

// usageError is a command line that makes no sense: the usage text follows. An empty
// one says nothing itself.
type usageError string

// Error returns the text.
func (e usageError) Error() string { return string(e) }

// unterminated is a text that no line feed follows.
type unterminated string

// Error returns the text.
func (e unterminated) Error() string { return string(e) }
