package pesto

import (
	"errors"
	"slices"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/control"
)

// action is what a step does with its forwards.
type action int

const (
	actionAdd action = iota
	actionDelete
	actionClear
)

// step is one option of the command line.
type step struct {
	action action
	// option is the port option, unless the step clears a table.
	option string
	spec   portfwd.Spec
	pif    fwd.Pif
}

// program are the steps in the order of the command line.
type program struct {
	steps []step
	mode  action
	// edits is set by the first --add, --delete or --clear: without one, the first
	// forward for a table replaces it.
	edits bool
}

func (p *program) add() error    { return p.setMode(actionAdd) }
func (p *program) remove() error { return p.setMode(actionDelete) }

func (p *program) setMode(a action) error {
	p.mode, p.edits = a, true
	return nil
}

func (p *program) clear(name string) error {
	pif, ok := control.PifByName(name)
	if !ok {
		return cmdline.Errorf("Unsupported pif name %s", name)
	}
	p.steps = append(p.steps, step{action: actionClear, pif: pif})
	return p.setMode(actionAdd)
}

// fromGuest tells whether the rules of a port option listen in the namespace.
func fromGuest(option string) bool { return option == "-T" || option == "-U" }

// apply runs the program on the tables of a server.
func (p *program) apply(rules portfwd.Rules, h *control.Hello) (portfwd.Rules, error) {
	for pif := range rules {
		rules[pif] = slices.Clone(rules[pif])
	}
	var replaced [fwd.NumPifs]bool
	for _, s := range p.steps {
		pif := s.target()
		if pif == fwd.Splice && !h.Splice {
			return rules, cmdline.Errorf("Unsupported pif name %s", pif)
		}
		if s.action == actionClear || !p.edits && !replaced[pif] {
			rules[pif], replaced[pif] = nil, true
		}
		var err error
		if rules[pif], err = s.apply(rules[pif], h); err != nil {
			return rules, err
		}
	}
	return rules, nil
}

// target is the table that the step is about.
func (s *step) target() fwd.Pif {
	switch {
	case s.action == actionClear:
		return s.pif
	case fromGuest(s.option):
		return fwd.Splice
	}
	return fwd.Host
}

// apply adds or deletes the forwards of the step.
func (s *step) apply(table []fwd.Rule, h *control.Hello) ([]fwd.Rule, error) {
	if s.action == actionClear {
		return table, nil
	}
	rules, err := s.rules(h)
	if err != nil {
		return table, err
	}
	for _, r := range rules {
		if s.action == actionDelete {
			table, err = remove(table, r)
		} else {
			table, err = add(table, r)
		}
		if err != nil {
			return table, err
		}
	}
	return table, nil
}

// rules are those of the step's specification, as the server can serve them.
func (s *step) rules(h *control.Hello) ([]fwd.Rule, error) {
	env := portfwd.Env{
		Proto: fwd.UDP, V4: h.IPv4, V6: h.IPv6, FromGuest: fromGuest(s.option),
		Ephemeral: portfwd.Range{First: h.EphemeralFirst, Last: h.EphemeralLast},
	}
	enabled := h.UDP
	if s.option == "-t" || s.option == "-T" {
		env.Proto, enabled = fwd.TCP, h.TCP
	}
	switch {
	case s.spec.None:
		return nil, nil
	case !enabled:
		return nil, cmdline.Errorf("Can't add %s forwarding rule, %s not enabled", env.Proto, env.Proto)
	case s.spec.Auto && !h.Scan:
		return nil, cmdline.Errorf("'auto' port forwarding is only allowed for pasta")
	}
	return s.spec.Rules(env)
}

func add(table []fwd.Rule, r fwd.Rule) ([]fwd.Rule, error) {
	var t portfwd.Table
	for _, old := range table {
		if err := t.Add(old); err != nil {
			return table, err
		}
	}
	err := t.Add(r)
	var conflict *portfwd.ConflictError
	if errors.As(err, &conflict) {
		return table, cmdline.Errorf("%s\nUnable to add rule %s", err, text(r))
	}
	return t.Rules(), err
}

// remove takes the rule out that has the listeners and the target of r.
func remove(table []fwd.Rule, r fwd.Rule) ([]fwd.Rule, error) {
	for i, old := range table {
		if sameForward(old, r) {
			return slices.Delete(table, i, i+1), nil
		}
	}
	for _, old := range table {
		if portfwd.Conflict(r, old) {
			return table, cmdline.Errorf("Specifier %s conflicts with rule %s, but doesn't match it, can't delete\nUnable to delete rule %s",
				text(r), text(old), text(r))
		}
	}
	return table, cmdline.Errorf("Couldn't find forwarding rule to delete: %s\nUnable to delete rule %s", text(r), text(r))
}

// sameForward compares everything but the attributes.
func sameForward(a, b fwd.Rule) bool {
	a.Auto, a.BestEffort = b.Auto, b.BestEffort
	return a == b
}

// text is the rule for use within a sentence.
func text(r fwd.Rule) string { return strings.TrimRight(r.String(), " ") }
