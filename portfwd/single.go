package portfwd

import (
	"slices"

	"github.com/pasta-net/pasta/core/fwd"
)

// ErrNoRule is returned by Remove for a rule that is not in the table.
const ErrNoRule = textError("No such forwarding rule")

// Add adds one rule to the table of pif and opens its ports, or changes nothing: it
// fails like Start, and where that does not, ports that cannot be opened are tried
// again. Listeners of other rules are untouched. Add needs a run.
func (m *Manager) Add(pif fwd.Pif, rule fwd.Rule) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.engine == nil {
		return errNotRunning
	}
	rules, err := m.rules.with(pif, rule, m.o)
	if err != nil {
		return err
	}
	g := newGroup(pif, rule)
	list, failed := m.fill(g, true)
	if err := fatal(g, failed, rules); err != nil {
		closeAll(list)
		return err
	}
	if err := m.engine.AddListeners(list); err != nil {
		_ = m.engine.RemoveListeners(list) // those that it took
		return err
	}
	m.rules, m.groups = rules, append(m.groups, g)
	m.changed()
	return nil
}

// Remove takes one rule out of the table of pif and closes its listeners: when it
// returns, their ports are free. Flows go on.
func (m *Manager) Remove(pif fwd.Pif, rule fwd.Rule) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.Index(m.rules[pif], rule)
	if at < 0 {
		return ErrNoRule
	}
	m.rules[pif] = slices.Delete(slices.Clone(m.rules[pif]), at, at+1)
	of := func(g *group) bool { return g.pif == pif && g.rule == rule }
	at = slices.IndexFunc(m.groups, of)
	m.close(m.groups[at].surplus(nil))
	m.groups = slices.Delete(m.groups, at, at+1)
	m.changed()
	return nil
}

// changed counts a change of the tables and has Run reconsider its work.
func (m *Manager) changed() {
	m.generation++
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// with gives the tables with one more rule, if o allows that.
func (r Rules) with(pif fwd.Pif, rule fwd.Rule, o Options) (Rules, error) {
	if err := checkServable(pif, rule, o); err != nil {
		return r, err
	}
	t := o.table()
	for _, old := range r[pif] { // which were checked when they came
		t.append(old)
	}
	if err := t.Add(rule); err != nil {
		return r, err
	}
	next := r
	next[pif] = t.rules
	if err := noCircle(next, o); err != nil {
		return r, err
	}
	return next, nil
}
