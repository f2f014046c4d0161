package portfwd

import (
	"fmt"

	"github.com/pasta-net/pasta/core/fwd"
)

// textError is an error whose text callers of the command line match, which is
// why it starts with a capital.
type textError string

// Error returns the text.
func (e textError) Error() string { return string(e) }

// ErrPortZero is returned for a specification that names port 0.
const ErrPortZero = textError("Forwarding rule attempts to map from port 0")

// SpecError is a port specification outside the grammar.
type SpecError struct {
	// Spec is the offending part: the text behind the listening address.
	Spec string
}

// Error returns the text that callers of the command line see.
func (e *SpecError) Error() string { return fmt.Sprintf("Invalid port specifier '%s'", e.Spec) }

// NothingError is a specification whose exclusions leave no port.
type NothingError struct {
	// Spec is the specification as written.
	Spec string
}

// Error names it, and the ways out.
func (e *NothingError) Error() string {
	return fmt.Sprintf("Port specifier '%s' forwards nothing: its exclusions leave no port\n"+
		"Leave one of them out, or write 'none' for no forwards", e.Spec)
}

// RuleError is a well-formed rule that cannot be served.
type RuleError struct {
	// Rule is the refused one.
	Rule fwd.Rule
	// Reason says why.
	Reason string
}

// Error returns the reason and, on a second line, the rule.
func (e *RuleError) Error() string {
	return fmt.Sprintf("%s\nUnable to add rule %s", e.Reason, ruleText(e.Rule))
}

// ConflictError is a rule whose listeners would collide with those of another.
type ConflictError struct {
	// New is the refused rule, Old the one already in the table.
	New, Old fwd.Rule
}

// Error returns both rules in the form of the start-up summary.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("Forwarding configuration conflict: %s versus %s", ruleText(e.New), ruleText(e.Old))
}
