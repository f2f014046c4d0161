package command

import (
	"slices"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// forwardOptions are the options of pasta-cli.md section 2.4.
func (s *settings) forwardOptions() []option {
	return []option{
		{
			name: "tcp-ports", short: "t", set: s.ports.adder("-t"), def: "auto",
			usage: "Forward TCP ports of the host to the namespace: `SPEC`, repeatable",
		},
		{
			name: "udp-ports", short: "u", set: s.ports.adder("-u"), def: "auto",
			usage: "Forward UDP ports of the host to the namespace: `SPEC`, repeatable",
		},
		{
			name: "tcp-ns", short: "T", set: s.ports.adder("-T"), def: "auto",
			usage: "Forward TCP ports of the namespace's loopback to that of the host: `SPEC`, repeatable",
		},
		{
			name: "udp-ns", short: "U", set: s.ports.adder("-U"), def: "auto",
			usage: "Forward UDP ports of the namespace's loopback to that of the host: `SPEC`, repeatable",
		},
		{
			name: "freebind", on: getopt.TurnOn(&s.opts.FreeBind),
			usage: "Let forwards listen on addresses that the host does not have",
		},
		{
			name: "no-splice", on: turnOff(&s.opts.Bypass.Inbound),
			usage: "Deliver connections from the host's loopback through the interface",
		},
		{
			name: "host-lo-to-ns-lo", on: getopt.TurnOn(&s.opts.Bypass.SameLoopback),
			usage: "Deliver connections from the host's loopback to that of the namespace",
		},
	}
}

// portSpec is one argument of -t, -u, -T or -U.
type portSpec struct {
	option string
	spec   portfwd.Spec
}

// portSpecs are all of them in their common order, which is that of the rules.
type portSpecs struct{ list []portSpec }

// adder returns the "set" function of a port option.
func (p *portSpecs) adder(option string) func(string) error {
	return func(text string) error {
		spec, err := portfwd.ParseSpec(text)
		switch {
		case err != nil:
			return err
		case spec.None && slices.ContainsFunc(p.list, func(s portSpec) bool { return s.option == option && !s.spec.None }):
			return cmdline.Errorf("%s none conflicts with previous options", option)
		case fromGuest(option) && spec.HasListen():
			return cmdline.Errorf("Listening address not allowed for %s %s", option, text)
		}
		p.list = append(p.list, portSpec{option: option, spec: spec})
		return nil
	}
}

// given tells whether an option was there at all.
func (p *portSpecs) given(option string) bool {
	return slices.ContainsFunc(p.list, func(s portSpec) bool { return s.option == option })
}

// fromGuest tells whether the rules of a port option listen in the namespace.
func fromGuest(option string) bool { return option == "-T" || option == "-U" }

// protoOf is the protocol that a port option is about.
func protoOf(option string) fwd.Proto {
	if option == "-t" || option == "-T" {
		return fwd.TCP
	}
	return fwd.UDP
}

// forwards turns the specifications into rules, once families and protocols are
// known. An option that was not given follows what listens on the other side,
// unless its protocol is switched off.
func (s *settings) forwards() (rules portfwd.Rules, err error) {
	list := s.ports.list
	for _, option := range []string{"-t", "-u", "-T", "-U"} {
		if !s.ports.given(option) && s.enabled(protoOf(option)) {
			list = append(list, portSpec{option: option, spec: portfwd.Spec{Text: "auto", Auto: true}})
		}
	}
	var tables [fwd.NumPifs]portfwd.Table
	env := portfwd.Env{V4: s.opts.Net.V4, V6: s.opts.Net.V6, Ephemeral: portfwd.HostEphemeral()}
	for _, p := range list {
		env.Proto, env.FromGuest = protoOf(p.option), fromGuest(p.option)
		if !s.enabled(env.Proto) && !p.spec.None {
			return rules, cmdline.Errorf("Can't add %s forwarding rule, %s not enabled", env.Proto, env.Proto)
		}
		pif := fwd.Host
		if env.FromGuest {
			pif = fwd.Splice
		}
		if err := tables[pif].AddSpec(p.spec, env); err != nil {
			return rules, err
		}
	}
	for pif := range tables {
		rules[pif] = tables[pif].Rules()
	}
	return rules, nil
}

func (s *settings) enabled(proto fwd.Proto) bool {
	if proto == fwd.TCP {
		return s.opts.TCP
	}
	return s.opts.UDP
}
