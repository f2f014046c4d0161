package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pasta-net/pasta/cmd/pasta/command"
)

// option is one documented option.
type option struct {
	long, short string
	// arg is the word for the argument, empty if there is none.
	arg string
	// usage is the help text, def the default as text.
	usage, def string
	group      string
	// complete is what the argument is, see command.CompletionOf.
	complete string
	hidden   bool
}

// tableOf returns the documented options in the order of the table.
func tableOf(cmd *cobra.Command) (options []option) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if command.GroupOf(f) != "" {
			options = append(options, optionOf(f))
		}
	})
	return options
}

func optionOf(f *pflag.Flag) option {
	o := option{
		long: f.Name, short: f.Shorthand, def: f.DefValue, group: command.GroupOf(f),
		complete: command.CompletionOf(f), hidden: f.Hidden,
	}
	o.arg, o.usage = pflag.UnquoteUsage(f)
	if !command.TakesArgument(f) {
		o.arg = ""
	}
	return o
}

// visible returns the options that completions propose.
func visible(options []option) (shown []option) {
	for _, o := range options {
		if !o.hidden {
			shown = append(shown, o)
		}
	}
	return shown
}

// names returns the option as typed: "-m" and "--mtu".
func (o option) names() []string {
	if o.short == "" {
		return []string{"--" + o.long}
	}
	return []string{"-" + o.short, "--" + o.long}
}

// namesWithArgument returns all names of options that need an argument.
func namesWithArgument(options []option) (names []string) {
	for _, o := range options {
		if o.arg != "" {
			names = append(names, o.names()...)
		}
	}
	return names
}
