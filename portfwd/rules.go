package portfwd

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pasta-net/pasta/core/fwd"
)

// rfc6335Dynamic are the ephemeral ports of RFC 6335 section 6.
var rfc6335Dynamic = Range{First: 49152, Last: 65535}

// Refusals of listening addresses of a family that is switched off.
const (
	errNoIPv4 = textError("IPv4 forward, but IPv4 not enabled")
	errNoIPv6 = textError("IPv6 forward, but IPv6 not enabled")
)

// Env is what the rules of a specification depend on besides its text.
type Env struct {
	// Proto of the rules.
	Proto fwd.Proto
	// V4, V6 tell which families are enabled.
	V4, V6 bool
	// FromGuest makes rules that listen in the namespace (-T, -U), on its
	// loopback interface only.
	FromGuest bool
	// Ephemeral is the host's range of ephemeral ports, which "all" leaves out.
	// The zero value stands for that of RFC 6335.
	Ephemeral Range
}

// Rules returns the forward rules that the specification stands for, in its
// order. The error is a *RuleError, a *NothingError or a text of the command line contract.
func (s Spec) Rules(env Env) ([]fwd.Rule, error) {
	if s.None {
		return nil, nil
	}
	base, err := s.baseRule(env)
	if err != nil {
		return nil, err
	}
	entries := s.Entries
	if len(entries) == 0 {
		entries = []Entry{{All: true}}
	}
	var rules []fwd.Rule
	for _, e := range entries {
		more, err := s.entryRules(e, base, env.ephemeral())
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	if len(rules) == 0 && len(s.Exclude) > 0 {
		return nil, &NothingError{Spec: s.Text}
	}
	return rules, nil
}

func (env Env) ephemeral() Range {
	if env.Ephemeral == (Range{}) {
		return rfc6335Dynamic
	}
	return env.Ephemeral
}

// baseRule returns what all rules of the specification have in common.
func (s Spec) baseRule(env Env) (fwd.Rule, error) {
	rule := fwd.Rule{Proto: env.Proto, Listen: s.Listen, IfName: s.IfName, Auto: s.Auto}
	switch {
	case s.Listen.Is4() && !env.V4:
		return rule, errNoIPv4
	case s.Listen.Is6() && !env.V6:
		return rule, errNoIPv6
	case !s.Listen.IsValid() && !env.V6:
		rule.Listen = netip.IPv4Unspecified()
	case !s.Listen.IsValid() && !env.V4:
		rule.Listen = netip.IPv6Unspecified()
	}
	if env.FromGuest {
		rule.IfName = "lo"
	}
	return rule, nil
}

// entryRules returns one rule for each contiguous run of ports of e that is left
// after the exclusions.
func (s Spec) entryRules(e Entry, base fwd.Rule, ephemeral Range) ([]fwd.Rule, error) {
	exclude := s.Exclude
	shift := e.Target - e.Ports.First
	if e.All {
		e.Ports = Range{First: 1, Last: 65535}
		exclude = append(slices.Clone(exclude), ephemeral)
		shift = 0
		base.BestEffort = true
	}
	base.First, base.Last, base.Target, base.TargetAddr = e.Ports.First, e.Ports.Last, e.Ports.First+shift, e.TargetAddr
	if reason := targetProblem(base); reason != "" {
		return nil, &RuleError{Rule: base, Reason: reason + targetHint(base)}
	}
	var rules []fwd.Rule
	for _, r := range subtract(e.Ports, exclude) {
		base.First, base.Last, base.Target = r.First, r.Last, r.First+shift
		rules = append(rules, base)
	}
	return rules, nil
}

// targetProblem says why connections to the rule's listener cannot be sent to its
// target address; empty if they can.
func targetProblem(r fwd.Rule) string {
	target := r.TargetAddr
	switch {
	case !target.IsValid():
		return ""
	case target.IsMulticast():
		return fmt.Sprintf("Forward to multicast address %s unsupported", target)
	case !r.Listen.IsValid():
		return fmt.Sprintf("Dual stack forward to %s address %s unsupported", family(target), target)
	case r.Listen.Is4() != target.Is4():
		return fmt.Sprintf("Forward from %s (%s) to %s (%s) unsupported",
			family(r.Listen), r.Listen, family(target), target)
	}
	return ""
}

// targetHint is a line about the way out of a target problem, if there is one.
func targetHint(r fwd.Rule) string {
	if r.Listen.IsValid() || r.TargetAddr.IsMulticast() {
		return ""
	}
	wildcard, option := netip.IPv4Unspecified(), "--ipv4-only"
	if r.TargetAddr.Is6() {
		wildcard, option = netip.IPv6Unspecified(), "--ipv6-only"
	}
	return fmt.Sprintf("\nListen on one family, by an address before the ports (%s/...) or with %s", wildcard, option)
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// subtract returns the runs of ports of r that are in none of the excluded
// ranges, in ascending order.
func subtract(r Range, excluded []Range) []Range {
	excluded = slices.SortedFunc(slices.Values(excluded), func(a, b Range) int {
		return int(a.First) - int(b.First)
	})
	var left []Range
	next := int(r.First) // int: one past 65535 must not wrap
	for _, x := range excluded {
		if int(x.First) > next && next <= int(r.Last) {
			left = append(left, Range{First: uint16(next), Last: min(x.First-1, r.Last)})
		}
		next = max(next, int(x.Last)+1)
	}
	if next <= int(r.Last) {
		left = append(left, Range{First: uint16(next), Last: r.Last})
	}
	return left
}

// ruleText is the rule in the form of the summary, for use within a sentence.
func ruleText(r fwd.Rule) string { return strings.TrimRight(r.String(), " ") }
