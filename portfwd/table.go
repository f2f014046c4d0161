package portfwd

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/pasta-net/pasta/core/fwd"
)

const (
	// MaxRules is the largest number of rules in one direction, if not said otherwise.
	MaxRules = 255
	// MaxListeners bounds the listening sockets of one direction: "all" for both
	// protocols takes up to 131070.
	MaxListeners = 1 << 17
)

// Table is the set of forward rules of one direction. The zero value is empty.
// It has no owner of its own: the caller serialises access.
type Table struct {
	rules     []fwd.Rule
	listeners int
	max       int // of rules; 0: MaxRules
}

// table gives an empty table of the size that o asks for.
func (o *Options) table() Table { return Table{max: o.MaxRules} }

// Rules returns the rules in the order they were added. The caller must not
// change them.
func (t *Table) Rules() []fwd.Rule { return t.rules }

// Add adds one rule. It fails with a *ConflictError if another rule listens on
// one of its ports, and with the contract's text if a limit is exceeded; the
// table is then unchanged.
func (t *Table) Add(rule fwd.Rule) error {
	for _, old := range t.rules {
		if Conflict(rule, old) {
			return &ConflictError{New: rule, Old: old}
		}
	}
	if limit := cmp.Or(t.max, MaxRules); len(t.rules) >= limit {
		return textError(fmt.Sprintf("Too many rules (maximum %d)", limit))
	}
	if t.listeners+portsOf(rule) > MaxListeners {
		return textError(fmt.Sprintf("Rules require too many listening sockets (maximum %d)", MaxListeners))
	}
	t.append(rule)
	return nil
}

func (t *Table) append(rule fwd.Rule) {
	t.rules = append(t.rules, rule)
	t.listeners += portsOf(rule)
}

func portsOf(rule fwd.Rule) int { return int(rule.Last) - int(rule.First) + 1 }

// AddSpec adds all rules of a specification. The table is unchanged on error.
func (t *Table) AddSpec(s Spec, env Env) error {
	rules, err := s.Rules(env)
	if err != nil {
		return err
	}
	next := Table{rules: t.rules[:len(t.rules):len(t.rules)], listeners: t.listeners, max: t.max}
	for _, rule := range rules {
		if err := next.Add(rule); err != nil {
			return err
		}
	}
	*t = next
	return nil
}

// Conflict tells whether two rules would bind the same port.
func Conflict(a, b fwd.Rule) bool {
	return a.Proto == b.Proto &&
		a.First <= b.Last && b.First <= a.Last &&
		(a.IfName == "" || b.IfName == "" || a.IfName == b.IfName) &&
		addrsOverlap(a.Listen, b.Listen)
}

// addrsOverlap tells whether a socket bound to a would get connections meant for
// b. The invalid address is the dual-stack wildcard.
func addrsOverlap(a, b netip.Addr) bool {
	switch {
	case !a.IsValid() || !b.IsValid():
		return true
	case a.Is4() != b.Is4():
		return false
	}
	return a == b || a.IsUnspecified() || b.IsUnspecified()
}
