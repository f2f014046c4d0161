package getopt

import "github.com/spf13/pflag"

// Option is one row of a table of options.
type Option struct {
	// Name is the long name, Short the letter; empty: none.
	Name, Short string
	// Usage is the help text; a word in backquotes names the argument.
	Usage string
	// Def is the default shown by help.
	Def string
	// Set is called with each argument; On, for an option without argument, at each
	// occurrence. Exactly one of them is given.
	Set func(string) error
	On  func() error
	// Optional lets an option that has On take an argument without effect, as "--name=value".
	Optional bool
	// Hidden options are in no help, and have no abbreviations.
	Hidden bool
}

// Flag makes the flag of the option.
func (o Option) Flag() *pflag.Flag {
	flag := &pflag.Flag{Name: o.Name, Shorthand: o.Short, Usage: o.Usage, DefValue: o.Def, Hidden: o.Hidden}
	if o.On != nil {
		flag.NoOptDefVal = "true"
		flag.Value = &value{set: func(string) error { return o.On() }}
	} else {
		flag.Value = &value{set: o.Set, takes: true}
	}
	if o.Optional {
		flag.Annotations = map[string][]string{Optional: {}}
	}
	return flag
}

// value is a pflag.Value that hands each occurrence of an option to a function, so
// that their order counts.
type value struct {
	set   func(string) error
	takes bool
	last  string
}

// Set passes the argument on.
func (v *value) Set(text string) error {
	v.last = text
	return v.set(text)
}

// String returns the argument of the last occurrence.
func (v *value) String() string { return v.last }

// Type returns what pflag needs to show options without argument as such.
func (v *value) Type() string {
	if v.takes {
		return "string"
	}
	return "bool"
}

// Keep returns a function for Option.Set that takes any argument as it is.
func Keep(target *string) func(string) error {
	return func(text string) error {
		*target = text
		return nil
	}
}

// TurnOn returns a function for Option.On that sets a switch.
func TurnOn(target *bool) func() error {
	return func() error {
		*target = true
		return nil
	}
}
