package main

import "github.com/pasta-net/pasta/cmd/pasta/command"

// The texts of the manual page that are not part of the command line.
const (
	optionRules = `Long options may be abbreviated as long as they stay unique. An argument follows separately, after "="
for long options, or attached for short ones; short options may be joined. The first word that is no option ends the options:
what follows belongs to the command. Options are checked from left to right, and the first error ends the run.

An option given several times takes its last argument, except that --tcp-ports, --udp-ports, --dns and --search add up, and
that options which take an address keep one per family.

Sizes and numbers are decimal, hexadecimal with 0x, or octal with a leading 0.`

	portRules = `A port specification is "none", or a list separated by commas, optionally preceded by a listening address, an
interface or both, and a slash: 8080, 8000-8010, 10.66.0.2/8080, [fd66::2]/8080, %eth0/8080. Ports and ranges may be followed by a
colon and what they map to: ports in a range of the same length, an address in the namespace, or both, as in 8080:80,
8000-8010:9000-9010, 0.0.0.0/8080:192.0.2.5, 0.0.0.0/8080:192.0.2.5/80. IPv6 addresses behind the colon stand in brackets; forwards
to an address need a listening address of the same family, or --ipv4-only or --ipv6-only. A part that starts with ~ excludes ports from
the list, wherever it stands: 8000-8010,~8005.

The word all stands for every port that is not in the host's range of ephemeral ports (net.ipv4.ip_local_port_range), and so does a
list without ports, as in ~22. The word auto makes each port of the list depend on a service: it is forwarded while something
listens on it in the place that it leads to, which is looked up every second, and at start. auto alone is that for all ports.
Services that listen on TCP count as UDP services too, as some use both.

Without address, forwards listen on all addresses of the enabled families. A port or range that cannot be bound ends the start with
status 1; ports that all and auto stand for are left out, and tried again. Options for the same direction must not ask twice for one
port of an address. A direction may have 255 such ports and ranges.

Forwards of the namespace, by --tcp-ns and --udp-ns, listen on its loopback interface only, take no listening address, and lead to
the host's loopback.`
)

// groupText introduces a group of options.
func groupText(group string) string {
	if group == command.GroupDebug {
		return "These options turn off what pasta otherwise asks of the kernel, to test how it does without. " +
			"They cannot be abbreviated and may change at any time."
	}
	return ""
}

func exitStatus() []entry {
	return []entry{
		{"0", "Success: everything is set up and pasta runs in background, help or version were printed, " +
			"the namespace went away, or pasta was ended by SIGTERM or SIGQUIT."},
		{"1", "The command line is wrong or the set-up failed; a message on standard error says why."},
		{"other", "With a command, its exit status, or 128 plus the number of the signal that killed it."},
	}
}

func signals() []entry {
	return []entry{
		{"SIGTERM, SIGQUIT", "Exit with status 0, after at most a second to deliver what is under way; " +
			"at the second signal at once. A command keeps running without network."},
		{"SIGHUP, SIGINT", "The same, but end by the signal. No effect if they were ignored when pasta started."},
		{"SIGHUP, SIGINT, SIGQUIT from the terminal", "With a command that runs in the foreground of that terminal, " +
			"a matter of the command: if it does not handle the signal it ends, and pasta with it."},
		{"SIGPIPE, SIGUSR1", "No effect."},
	}
}

func environment() []entry {
	return []entry{
		{"SHELL", "The shell to start without command; /bin/sh if unset."},
		{"PATH", "Where to look for the command."},
	}
}

func files() []entry {
	return []entry{
		{"/dev/net/tun", "Must be readable and writable."},
		{"/etc/resolv.conf", "Resolvers and search domains, read once at start."},
		{"/run/netns", "Named network namespaces."},
		{"/dev/log", "The system log, for messages in background without --log-file."},
	}
}
