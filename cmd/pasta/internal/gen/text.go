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

	portRules = `A port specification is "none", or a list of ports and ranges separated by commas, optionally preceded by a
listening address, an interface or both, and a slash: 8080, 8000-8010, 10.66.0.2/8080, [fd66::2]/8080, %eth0/8080. Each port or
range may be followed by a colon and the ports it maps to, in a range of the same length: 8080:80, 8000-8010:9000-9010. A part that
starts with ~ excludes ports from the list: 8000-8010,~8005.

Without address, forwards listen on all addresses of the enabled families. If a port cannot be bound, pasta exits with status 1.
The forms auto and all, and lists of exclusions only, are not supported yet.`
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
