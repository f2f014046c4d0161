// Command nettool is the other end of the network tests and benchmarks (see
// tests/bats and tests/bench): a server that answers several small protocols on
// one port, and one client subcommand for each of them. Every transfer is
// checked by digest, so that lost, repeated or reordered bytes fail the test.
//
// It is a test program: it imports the standard library only and is not
// installed.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sort"
	"time"
)

// defaultTimeout bounds a client subcommand as a whole, so that a stalled
// transfer fails instead of hanging the test run.
const defaultTimeout = 60 * time.Second

// subcommand is one entry of the command table. Run parses its own flags.
type subcommand struct {
	usage string
	run   func(args []string) error
}

func subcommands() map[string]subcommand {
	return map[string]subcommand{
		"serve":      {"ADDR...: answer all protocols below on TCP and UDP", runServe},
		"serve-lean": {"ADDR...: answer rr, crr and open, on TCP, in one thread", runServeLean},
		"up":         {"[flags] ADDR: send -size bytes, half-close, compare the server's digest", runUp},
		"down":       {"[flags] ADDR: receive -size bytes, compare the digest sent after them", runDown},
		"half-close": {"[flags] ADDR: the server closes its direction first, then takes our bytes", runHalfClose},
		"reset":      {"ADDR: let the server reset the connection, print the error", runReset},
		"peer":       {"[-udp] [-source ADDR] ADDR: print our address as the server sees it", runPeer},
		"connect":    {"[-udp] ADDR: print ok or the name of the errno", runConnect},
		"hold":       {"[flags] ADDR: hold -count connections until stdin ends, then use each again", runHold},
		"open":       {"[flags] ADDR: open and use -count connections, print how many per second", runOpen},
		"rr":         {"[flags] ADDR: one-byte requests and answers per second on one connection or several", runRR},
		"crr":        {"[flags] ADDR: connect, request, answer, close per second", runCRR},
		"udp-echo":   {"[flags] ADDR: send -count datagrams, expect each back once", runUDPEcho},
		"udp-reply":  {"[flags] ADDR: ask for one datagram of -size bytes", runUDPReply},
		"udp-flood":  {"[flags] ADDR: send as fast as possible, print what the server counted", runUDPFlood},
		"forge":      {"-dev NAME -from ADDR,... ADDR...: send a SYN and a datagram from each source to each address", runForge},
		"witness":    {"ADDR...: print who connects or sends a datagram there", runWitness},
		"echo-id":    {": print the identifier of the first ICMP echo request that arrives", runEchoID},
		"dns-serve":  {"ADDR IP: answer every DNS query for an address with IP", runDNSServe},
	}
}

func main() {
	table := subcommands()
	if len(os.Args) < 2 || table[os.Args[1]].run == nil {
		printUsage(os.Stderr, table)
		os.Exit(2)
	}
	if err := table[os.Args[1]].run(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "nettool %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func printUsage(w io.Writer, table map[string]subcommand) {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(w, "nettool %s %s\n", name, table[name].usage)
	}
}

// client is what every client subcommand has: its flags, the overall timeout
// and the one positional argument.
type client struct {
	*flag.FlagSet
	timeout time.Duration
}

func newClient(name string) *client {
	c := &client{FlagSet: flag.NewFlagSet(name, flag.ExitOnError)}
	c.DurationVar(&c.timeout, "timeout", defaultTimeout, "give up after this long")
	return c
}

// address parses args, arms the overall timeout and returns the server address.
func (c *client) address(args []string) (string, error) {
	if err := c.Parse(args); err != nil {
		return "", err
	}
	if c.NArg() != 1 {
		return "", fmt.Errorf("want one address, got %q", c.Args())
	}
	time.AfterFunc(c.timeout, func() {
		fmt.Fprintf(os.Stderr, "nettool %s: no end after %v\n", c.Name(), c.timeout)
		os.Exit(124)
	})
	return c.Arg(0), nil
}

// addrPort is address for those that use plain sockets.
func (c *client) addrPort(args []string) (netip.AddrPort, error) {
	addr, err := c.address(args)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(addr)
}
