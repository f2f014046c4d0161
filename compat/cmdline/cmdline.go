// Package cmdline is what the command lines of all personalities share: a command
// over a table of options, how help and version end the parsing, and how errors are
// told.
//
// cobra holds the table for help, man page and completions, but does not parse:
// its own parser knows neither abbreviations nor the order that callers rely on
// (see compat/getopt), and its dispatcher would take commands named "help" or
// "__complete" away from the user.
//
// The package keeps no state; any goroutine may call it. Import level: compat.
package cmdline

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/compat/getopt"
)

// New makes a command with these options, in their order. use is its synopsis, short
// says in one line what it does, and usage makes the text that --help prints.
func New(use, short string, options []getopt.Option, usage func(*cobra.Command) string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, o := range options {
		flags.AddFlag(o.Flag())
	}
	cmd.SetUsageFunc(func(c *cobra.Command) error {
		_, err := io.WriteString(c.OutOrStdout(), usage(c))
		return err
	})
	return cmd
}

// Usage returns a function for New: the synopsis, a sentence about the program, and the
// options as pflag shows them.
func Usage(about string) func(*cobra.Command) string {
	return func(c *cobra.Command) string {
		return fmt.Sprintf("Usage: %s\n\n%s\n\n%s", c.Use, about, c.Flags().FlagUsages())
	}
}

// Parse hands the options of args to their values and returns the operands; see
// getopt.Parser. The error is a *Stop if help or version were asked for.
func Parse(cmd *cobra.Command, args []string, permute bool) (operands []string, err error) {
	parser := getopt.Parser{Program: cmd.Name(), Flags: cmd.Flags(), Permute: permute}
	operands, err = parser.Parse(args)
	if errors.Is(err, errHelp) {
		err = &Stop{Text: cmd.UsageString()}
	}
	return operands, err
}

// Stop is the error that ends the parsing with success.
type Stop struct {
	// Text goes to standard output.
	Text string
}

// Error returns the text.
func (s *Stop) Error() string { return s.Text }

// Say returns a function for getopt.Option.On that ends the parsing with this text.
func Say(text string) func() error {
	return func() error { return &Stop{Text: text} }
}

// Help is for getopt.Option.On: it ends the parsing with the usage text.
func Help() error { return errHelp }

// errHelp stands for the usage text, which the options are part of.
var errHelp = errors.New("help")

// Settle writes what a *Stop says, and returns the error that is left to tell.
func Settle(err error, stdout io.Writer) error {
	var stop *Stop
	if errors.As(err, &stop) {
		_, err = io.WriteString(stdout, stop.Text)
	}
	return err
}

// Status settles the error, prints what is left of it, with the usage text if that helps,
// and returns the exit status: 0 or 1.
func Status(cmd *cobra.Command, err error, stdout, stderr io.Writer) int {
	if err = Settle(err, stdout); err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, err)
	var usage *getopt.UsageError
	if errors.As(err, &usage) {
		_, _ = io.WriteString(stderr, cmd.UsageString())
	}
	return 1
}
