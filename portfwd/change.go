package portfwd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pasta-net/pasta/core/fwd"
)

// ErrChanged is returned by Replace when somebody else was faster.
const ErrChanged = textError("Forwarding configuration changed in the meantime, try again")

// errNotRunning is returned by Replace outside a run.
const errNotRunning = textError("Forwarding is not running")

// Rules returns the rules of both tables, which the caller must not change, and
// their generation for Replace.
func (m *Manager) Rules() (Rules, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rules, m.generation
}

// Options returns what the manager was made with.
func (m *Manager) Options() Options { return m.o }

// Replace changes both tables at once, if they still are of that generation: else
// ErrChanged. Listeners of rules that stay are untouched, those of others are
// closed before new ones are opened; flows go on in any case. What Check finds
// leaves everything as it was. Ports that cannot be opened are reported as
// warnings: their rules stay, and are tried again. Replace needs a run.
func (m *Manager) Replace(generation uint64, rules Rules) (warnings []string, err error) {
	if err := Check(rules, m.o); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.engine == nil:
		return nil, errNotRunning
	case generation != m.generation:
		return nil, ErrChanged
	}
	old := m.groups
	m.rules, m.groups = rules, m.regroup(rules)
	for _, g := range old {
		if !slices.Contains(m.groups, g) {
			m.close(g.surplus(nil))
		}
	}
	warnings = m.openNew(old)
	m.changed()
	return warnings, nil
}

// openNew opens the listeners of groups that are not among the old ones, and tells
// what failed.
func (m *Manager) openNew(old []*group) (warnings []string) {
	if m.scan() {
		m.closeSurplus()
	}
	for _, g := range m.groups {
		isNew := !slices.Contains(old, g)
		if !isNew && !g.rule.Auto {
			continue
		}
		err := m.serve(g)
		if !isNew || !worthTelling(g, err) {
			continue
		}
		text, _, _ := strings.Cut(m.explain(err).Error(), "\n")
		if !slices.Contains(warnings, text) {
			warnings = append(warnings, text)
		}
	}
	return warnings
}

// explain gives the error about the limit in place of one that comes of rules which need
// more than that: the ports that it names are only those that were last.
func (m *Manager) explain(err error) error {
	var limit *LimitError
	if outOfDescriptors(err) && errors.As(limitError(m.rules, err), &limit) && limit.Need > limit.Soft {
		return limit
	}
	return err
}

// worthTelling tells whether an error of a group is one for its user. Ports of
// best-effort rules may fail unless all do; those of auto rules too, as long as it
// is not for lack of resources.
func worthTelling(g *group, err error) bool {
	switch {
	case err == nil:
		return false
	case outOfDescriptors(err):
		return true
	}
	return !g.rule.Auto && !(g.rule.BestEffort && g.open > 0)
}

// Check tells what is wrong with a pair of tables: rules that this run cannot
// serve, conflicts, limits, circles. The error is a *RuleError, a *ConflictError or a text
// of the command line contract.
func Check(rules Rules, o Options) error {
	for pif, list := range rules {
		t := o.table()
		for _, r := range list {
			if err := checkServable(fwd.Pif(pif), r, o); err != nil {
				return err
			}
			if err := t.Add(r); err != nil {
				return err
			}
		}
	}
	return noCircle(rules, o)
}

func checkServable(pif fwd.Pif, r fwd.Rule, o Options) error {
	switch {
	case r.Proto != fwd.TCP && r.Proto != fwd.UDP:
		return &RuleError{Rule: r, Reason: "Unknown protocol"}
	case r.Proto == fwd.TCP && !o.TCP, r.Proto == fwd.UDP && !o.UDP:
		return textError(fmt.Sprintf("Can't add %s forwarding rule, %s not enabled", r.Proto, r.Proto))
	case r.First == 0:
		return ErrPortZero
	case r.Last < r.First || r.Target == 0 || int(r.Target)+int(r.Last-r.First) > 65535:
		return &RuleError{Rule: r, Reason: "Invalid port range"}
	case pif == fwd.Splice && o.Namespace == nil:
		return textError("Unsupported pif name " + pif.String())
	case pif == fwd.Splice && (r.IfName != "lo" || r.Listen.IsValid() && !r.Listen.IsUnspecified()):
		return &RuleError{Rule: r, Reason: "Listening address not allowed"}
	case r.Auto && o.Namespace == nil:
		return errAuto
	case len(r.IfName) > maxIfName || strings.ContainsAny(r.IfName, "/ \x00"):
		return &RuleError{Rule: r, Reason: "Invalid interface name"}
	}
	return checkAddrs(r, o)
}

// errAuto refuses auto-detection where there is no namespace to look into.
const errAuto = textError("'auto' port forwarding is only allowed for pasta")

func checkAddrs(r fwd.Rule, o Options) error {
	for _, a := range []netip.Addr{r.Listen, r.TargetAddr} {
		if a.Zone() != "" || a.Is4In6() {
			return &RuleError{Rule: r, Reason: "Invalid address"}
		}
	}
	switch {
	case r.Listen.Is4() && !o.V4:
		return errNoIPv4
	case r.Listen.Is6() && !o.V6:
		return errNoIPv6
	}
	if reason := targetProblem(r); reason != "" && !o.AnyTarget {
		return &RuleError{Rule: r, Reason: reason}
	}
	return nil
}
