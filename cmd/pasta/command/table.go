package command

import (
	"github.com/spf13/pflag"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

// The groups of options, in the order of help and man page. Options without a
// group exist only to be refused with the right words.
const (
	GroupGeneral   = "General"
	GroupInterface = "Interface, addresses and routes"
	GroupServices  = "Services and protocols"
	GroupForward   = "Port forwarding"
	GroupNamespace = "Namespaces"
	GroupDebug     = "Debugging"
)

// Groups returns the groups of options in the order of help and man page.
func Groups() []string {
	return []string{GroupGeneral, GroupInterface, GroupServices, GroupForward, GroupNamespace, GroupDebug}
}

// What the argument of an option is, for shell completion.
const (
	CompleteFile      = "file"
	CompleteInterface = "interface"
	CompleteNetns     = "netns"
)

// Annotation keys of a flag.
const (
	groupKey    = "group"
	completeKey = "complete"
)

// GroupOf returns the group of a flag, empty if it belongs in no documentation.
func GroupOf(f *pflag.Flag) string { return annotation(f, groupKey) }

// CompletionOf returns what the argument of a flag is (CompleteFile and so on),
// empty if nothing can be proposed.
func CompletionOf(f *pflag.Flag) string { return annotation(f, completeKey) }

// TakesArgument tells whether the flag needs an argument.
func TakesArgument(f *pflag.Flag) bool { return f.NoOptDefVal == "" }

func annotation(f *pflag.Flag, key string) string {
	if values := f.Annotations[key]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// option is one row of the table.
type option struct {
	name, short string
	// alias is a second long name.
	alias string
	// usage is the help text; a word in backquotes names the argument.
	usage string
	// set is called with each argument; on, for an option without argument, at
	// each occurrence. Exactly one of them is given.
	set func(string) error
	on  func() error
	// def is the default shown by help.
	def string
	// complete says what the argument is.
	complete string
}

// addGroup adds the rows of one group to the flags.
func addGroup(flags *pflag.FlagSet, group string, options []option) {
	for _, o := range options {
		flag := o.flag()
		if group != "" {
			flag.Annotations[groupKey] = []string{group}
		}
		flag.Hidden = group == GroupDebug
		flags.AddFlag(flag)
		if o.alias != "" {
			alias := *flag
			alias.Name, alias.Shorthand = o.alias, ""
			flags.AddFlag(&alias)
		}
	}
}

func (o option) flag() *pflag.Flag {
	flag := getopt.Option{Name: o.name, Short: o.short, Usage: o.usage, Def: o.def, Set: o.set, On: o.on}.Flag()
	flag.Annotations = map[string][]string{}
	if o.complete != "" {
		flag.Annotations[completeKey] = []string{o.complete}
	}
	return flag
}

// turnOff returns an "on" function that clears a switch.
func turnOff(target *bool) func() error {
	return func() error {
		*target = false
		return nil
	}
}

// storePath returns a "set" function that keeps the argument of the option name. Empty
// it would count as not given: that of a script whose variable is not set.
func storePath(name string, target *string) func(string) error {
	return func(path string) error {
		if path == "" {
			return cmdline.Errorf("Invalid --%s: empty path", name)
		}
		*target = path
		return nil
	}
}
