package command

import (
	"slices"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// forwardOptions are the options of pasta-cli.md section 2.4.
func (s *settings) forwardOptions() []option {
	return []option{
		{
			name: "tcp-ports", short: "t", set: s.inbound("tcp-ports", "-t", fwd.TCP), def: "none",
			usage: "Forward TCP ports of the host to the namespace: `SPEC`, repeatable",
		},
		{
			name: "udp-ports", short: "u", set: s.inbound("udp-ports", "-u", fwd.UDP), def: "none",
			usage: "Forward UDP ports of the host to the namespace: `SPEC`, repeatable",
		},
		{
			name: "tcp-ns", short: "T", set: fromGuest("tcp-ns", "-T"), def: "none",
			usage: "Forward TCP ports of the namespace to the host: `SPEC`, only none is supported yet",
		},
		{
			name: "udp-ns", short: "U", set: fromGuest("udp-ns", "-U"), def: "none",
			usage: "Forward UDP ports of the namespace to the host: `SPEC`, only none is supported yet",
		},
		{
			name: "freebind", on: turnOn(&s.opts.FreeBind),
			usage: "Let forwards listen on addresses that the host does not have",
		},
		{
			name: "no-splice", on: turnOff(&s.opts.Bypass.Inbound),
			usage: "Deliver connections from the host's loopback through the interface",
		},
		{
			name: "host-lo-to-ns-lo", on: turnOn(&s.opts.Bypass.SameLoopback),
			usage: "Deliver connections from the host's loopback to that of the namespace",
		},
	}
}

// portSpec is one argument of -t or -u.
type portSpec struct {
	proto fwd.Proto
	spec  portfwd.Spec
}

// inbound returns the "set" function of -t and -u, which share one list so that
// rules keep the order of the command line.
func (s *settings) inbound(long, short string, proto fwd.Proto) func(string) error {
	return func(text string) error {
		spec, err := portfwd.ParseSpec(text)
		if err != nil {
			return err
		}
		if spec.None {
			return s.noPorts(short, proto)
		}
		if form := missingForm(spec); form != "" {
			return notYet(long + " " + form)
		}
		s.ports = append(s.ports, portSpec{proto: proto, spec: spec})
		return nil
	}
}

// noPorts handles "none", which only stands before other specifications.
func (s *settings) noPorts(short string, proto fwd.Proto) error {
	given := slices.ContainsFunc(s.ports, func(p portSpec) bool { return p.proto == proto })
	if given {
		return errorText("%s none conflicts with previous options", short)
	}
	return nil
}

// missingForm names the part of a specification whose effect is missing.
func missingForm(spec portfwd.Spec) string {
	switch {
	case spec.Auto:
		return "auto"
	case slices.ContainsFunc(spec.Entries, func(e portfwd.Entry) bool { return e.All }):
		return "all"
	case len(spec.Entries) == 0:
		return spec.Text
	}
	return ""
}

// fromGuest returns the "set" function of -T and -U.
func fromGuest(long, short string) func(string) error {
	return func(text string) error {
		spec, err := portfwd.ParseSpec(text)
		switch {
		case err != nil:
			return err
		case spec.None:
			return nil
		case spec.HasListen():
			return errorText("Listening address not allowed for %s %s", short, text)
		}
		return notYet(long + " " + text)
	}
}

// forwards turns the specifications into rules, once the families are known.
func (s *settings) forwards() ([]fwd.Rule, error) {
	var table portfwd.Table
	for _, p := range s.ports {
		if p.proto == fwd.TCP && !s.opts.TCP || p.proto == fwd.UDP && !s.opts.UDP {
			return nil, errorText("Can't add %s forwarding rule, %s not enabled", p.proto, p.proto)
		}
		env := portfwd.Env{Proto: p.proto, V4: s.opts.Net.V4, V6: s.opts.Net.V6}
		if err := table.AddSpec(p.spec, env); err != nil {
			return nil, err
		}
	}
	return table.Rules(), nil
}
