package main

import "github.com/pasta-net/pasta/compat/vpnkit"

const (
	vpnkitText = `vpnkit connects clients of the VMNET protocol to the network of the host without privileges, in place of the
program of that name: RootlessKit with --net=vpnkit, for example. Each client has an Ethernet link over a connection to a UNIX socket.

Clients get addresses by DHCP, or have asked for one. A client that comes back with the same UUID gets the same addresses as before. The
gateway is also the DNS server: it knows some names itself, and passes all other queries on to the first resolver of the host. What
goes to the address of the host reaches the loopback address of the host; with --host-ip 0.0.0.0 there is no way there. All other
destinations are those that the host has, for TCP, UDP and ping over IPv4.

It runs in foreground. The socket is there when clients can connect, and stays when the run ends. At most 64 connections are served at
a time; another one is told so.

Options may be abbreviated. Those of the original that are missing here are refused as not supported; docs/compat/vpnkit.md of the
sources lists them.`

	vpnkitExamples = `rootlesskit --net=vpnkit --port-driver=builtin --copy-up=/etc sh
	A shell in a network of its own, whose vpnkit is the one in PATH.
vpnkit --ethernet /run/user/1000/ethernet.sock --mtu 65520 --host-ip 0.0.0.0
	Serve clients with large frames, and keep them off the loopback interface of the host.`
)

// vpnkitProgram is the server for clients of the VMNET protocol.
func vpnkitProgram() *program {
	return &program{
		cmd: vpnkit.New(), synopsis: `\fB\-\-ethernet\fP \fIPATH\fP [\fIOPTION\fP]...`, text: vpnkitText, examples: vpnkitExamples,
		exit: []entry{
			{"0", "Help or version were asked for, or no socket."},
			{"1", "The socket could not be opened, or failed."},
			{"124", "The command line was wrong; a message on standard error says why."},
		},
		environment: []entry{{"VPNKIT_DEBUG", "If it is set, as --debug."}},
		seeAlso:     "pasta(1), rootlesskit(1)",
		files:       []string{"ethernet", "hosts", "dhcp-path"},
	}
}
