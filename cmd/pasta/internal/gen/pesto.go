package main

import "github.com/pasta-net/pasta/compat/pesto"

const (
	pestoText = `pesto shows the port forwards of a running pasta that was started with --conf-path=PATH, and changes them.

Without forwards among the options it prints both tables: HOST, of what listens on the host (--tcp-ports, --udp-ports), and SPLICE,
of what listens on the loopback interface of the namespace (--tcp-ns, --udp-ns). Port specifications are those of pasta(1).

The options are worked off from left to right on a copy of the tables, which pasta takes over in one piece: if one of them fails, or
somebody else made a change meanwhile, nothing changes. Without --add, --delete or --clear, the first forward for a table replaces
that whole table, TCP and UDP. A forward is deleted by the specification that it was made by; a part of a range cannot be.

Forwards that stay are not disturbed, and connections outlive their forward. Ports that cannot be opened are warned of; pasta tries
them again from time to time.

The socket is for the user who started pasta, and for root. Processes in the namespace that pasta serves are refused.`

	pestoExamples = `pesto /run/user/1000/app.sock
	Show the forwards.
pesto -A -t 127.0.0.1/8080:80 /run/user/1000/app.sock
	Add one.
pesto -D -t 127.0.0.1/8080:80 -A -t 8443:443 /run/user/1000/app.sock
	Replace it by another one.
pesto -t none -T none /run/user/1000/app.sock
	Remove all.`
)

// pestoProgram is the one that changes forwards.
func pestoProgram() *program {
	return &program{
		cmd: pesto.New(), synopsis: `[\fIOPTION\fP]... \fIPATH\fP`, text: pestoText, examples: pestoExamples,
		exit: []entry{
			{"0", "Success, if with warnings about ports that cannot be opened."},
			{"1", "Nothing was changed; a message on standard error says why."},
		},
		seeAlso: "pasta(1)",
		words:   map[string]string{"clear": "HOST SPLICE"}, operand: "control socket",
	}
}
