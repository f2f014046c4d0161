package main

import "github.com/pasta-net/pasta/compat/slirp4netns"

const (
	slirpText = `slirp4netns connects a network namespace to the network of the host without privileges, in place of the program
of that name: for Podman, Buildah, RootlessKit, rootless Docker, and scripts. It opens the tap TAPNAME in the namespace, or attaches to
the one that is there, and translates between its frames and ordinary sockets.

The operand is the process ID of a process in the namespaces, with --netns-type=path the path of a network namespace, with
--netns-type=tapfd the descriptor of a tap that the caller has opened, or with --target-type=bess the path of a SOCK_SEQPACKET socket to make,
each of whose messages is a frame.

The network is 10.0.2.0/24, or what --cidr says: .2 is the gateway and the loopback address of the host, .3 the first resolver in its
resolv.conf, .15 to .30 are leased by DHCP, and .100 is the address that --configure sets. With --enable-ipv6 there is fd00::/64,
announced by fe80::2, with fd00::2 and fd00::3 in the same roles.

It runs in foreground, until a signal or the descriptor of --exit-fd ends it.

The API socket takes one JSON object per connection, and answers with one: {"execute": "add_hostfwd", "arguments": {"proto": "tcp",
"host_addr": "127.0.0.1", "host_port": 8080, "guest_addr": "10.0.2.100", "guest_port": 80}} adds a forward and gives its "id"; "list_hostfwd"
and "remove_hostfwd" with that "id" are the others. "host_addr6" or "guest_addr6" make it one of IPv6, which the original does not have.

Options may be abbreviated, and stand behind operands. docs/compat/slirp4netns.md of the sources compares with the original.`

	slirpExamples = `slirp4netns --configure --mtu=65520 --disable-host-loopback 4711 tap0
	Connect the namespaces of process 4711.
slirp4netns -c -r 3 --enable-sandbox --enable-seccomp 4711 tap0 3>ready
	The same with less rights, and tell by descriptor 3 when everything is set up.
slirp4netns -c --api-socket=/run/user/1000/api.sock 4711 tap0
	The same, with an API socket.`
)

// slirp4netnsProgram connects namespaces as the program of that name does.
func slirp4netnsProgram() *program {
	return &program{
		cmd:      slirp4netns.New(),
		synopsis: `[\fIOPTION\fP]... \fIPID\fP|\fIPATH\fP|\fIFD\fP [\fITAPNAME\fP]`, text: slirpText, examples: slirpExamples,
		exit: []entry{
			{"0", "The end of --exit-fd; help or version were asked for."},
			{"1", "The command line was wrong or the network could not be set up; a message on standard error says why."},
		},
		seeAlso: "pasta(1), podman(1), rootlesskit(1)",
		words:   map[string]string{"netns-type": "path pid tapfd", "target-type": "netns bess"},
		files:   []string{"api-socket", "userns-path"},
		operand: "namespace",
	}
}
