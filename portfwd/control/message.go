package control

import (
	"fmt"
	"net/netip"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// Hello is what a server says first.
type Hello struct {
	// IPv4, IPv6, TCP, UDP tell what is enabled.
	IPv4 bool `json:"ipv4"`
	IPv6 bool `json:"ipv6"`
	TCP  bool `json:"tcp"`
	UDP  bool `json:"udp"`
	// Scan: auto rules are served. Splice: there is that table.
	Scan   bool `json:"scan"`
	Splice bool `json:"splice"`
	// EphemeralFirst and EphemeralLast are the host's ephemeral ports.
	EphemeralFirst uint16 `json:"ephemeralFirst"`
	EphemeralLast  uint16 `json:"ephemeralLast"`
}

// Config is a state of the tables.
type Config struct {
	// Generation counts changes. In a request it is that of the state which the
	// client started from: it fails if that is no longer the current one.
	Generation uint64  `json:"generation"`
	Tables     []Table `json:"tables"`
}

// Table are the rules of one pif in the order they were added.
type Table struct {
	Pif   string `json:"pif"`
	Rules []Rule `json:"rules"`
}

// Rule is fwd.Rule in JSON, which is also what pesto --json prints.
type Rule struct {
	// Proto is "TCP" or "UDP".
	Proto string `json:"proto"`
	// Listen is the listening address; empty for all of both families.
	Listen string `json:"listen,omitempty"`
	// Interface restricts the listeners to one.
	Interface string `json:"interface,omitempty"`
	// First and Last are the listening ports.
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
	// TargetAddress is the destination; empty for the guest's own.
	TargetAddress string `json:"targetAddress,omitempty"`
	// TargetFirst is the port that First maps to.
	TargetFirst uint16 `json:"targetFirst"`
	BestEffort  bool   `json:"bestEffort"`
	Auto        bool   `json:"auto"`
}

// Result tells that a change was made.
type Result struct {
	// Generation is the new one.
	Generation uint64 `json:"generation"`
	// Warnings are ports that could not be opened.
	Warnings []string `json:"warnings,omitempty"`
}

// Failure is the answer to a request that changed nothing.
type Failure struct {
	Message string `json:"message"`
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// NewConfig gives rules in the form of messages. The Splice table is left out
// where there is none.
func NewConfig(rules portfwd.Rules, generation uint64, splice bool) Config {
	c := Config{Generation: generation}
	for pif := range fwd.NumPifs {
		if pif == fwd.Splice && !splice {
			continue
		}
		t := Table{Pif: pif.String(), Rules: []Rule{}}
		for _, r := range rules[pif] {
			t.Rules = append(t.Rules, newRule(r))
		}
		c.Tables = append(c.Tables, t)
	}
	return c
}

func newRule(r fwd.Rule) Rule {
	return Rule{
		Proto: r.Proto.String(), Listen: addrText(r.Listen), Interface: r.IfName, First: r.First, Last: r.Last,
		TargetAddress: addrText(r.TargetAddr), TargetFirst: r.Target, BestEffort: r.BestEffort, Auto: r.Auto,
	}
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Rules gives the tables of c. Whether they can be served is up to portfwd.Check.
func (c *Config) Rules() (rules portfwd.Rules, err error) {
	for _, t := range c.Tables {
		pif, ok := PifByName(t.Pif)
		if !ok {
			return rules, fmt.Errorf("unknown table %q", t.Pif)
		}
		for _, r := range t.Rules {
			rule, err := r.rule()
			if err != nil {
				return rules, err
			}
			rules[pif] = append(rules[pif], rule)
		}
	}
	return rules, nil
}

func (r *Rule) rule() (rule fwd.Rule, err error) {
	rule = fwd.Rule{
		IfName: r.Interface, First: r.First, Last: r.Last, Target: r.TargetFirst, BestEffort: r.BestEffort, Auto: r.Auto,
	}
	switch r.Proto {
	case fwd.TCP.String():
		rule.Proto = fwd.TCP
	case fwd.UDP.String():
		rule.Proto = fwd.UDP
	default:
		return rule, fmt.Errorf("unknown protocol %q", r.Proto)
	}
	if rule.Listen, err = parseAddr(r.Listen); err != nil {
		return rule, err
	}
	rule.TargetAddr, err = parseAddr(r.TargetAddress)
	return rule, err
}

func parseAddr(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}

// PifByName finds a table.
func PifByName(name string) (fwd.Pif, bool) {
	for pif := range fwd.NumPifs {
		if pif.String() == name {
			return pif, true
		}
	}
	return 0, false
}
