package command

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/cmd/pasta/daemon"
	"github.com/pasta-net/pasta/compat/cmdline"
)

// New returns the command tree of pasta, for generators of documentation.
func New() *cobra.Command { return newPasta(newSettings(io.Discard)) }

// Pasta runs pasta with the words behind the program name and returns the exit
// status. Problems are one line on standard error and status 1.
func Pasta(args []string) int {
	parse := Parse
	if daemon.Reexecuted() {
		parse = reparse
	}
	opts, err := parse(args, os.Stderr)
	if err != nil {
		return cmdline.Status(New(), err, os.Stdout, os.Stderr)
	}
	return daemon.Run(opts)
}

// Parse turns the words behind the program name into the options of a run.
// Warnings go to stderr. A *getopt.UsageError means that the words do not fit
// the option table; other errors are texts of the command line contract, one of
// them, a *cmdline.Stop, the output of --help and --version.
func Parse(args []string, stderr io.Writer) (*daemon.Options, error) {
	return newSettings(stderr).parse(args)
}

// reparse is Parse in a process that the first one started with the same words:
// the warnings are out already, and -F named a descriptor that is not inherited.
func reparse(args []string, _ io.Writer) (*daemon.Options, error) {
	s := newSettings(io.Discard)
	s.again = true
	return s.parse(args)
}

func (s *settings) parse(args []string) (*daemon.Options, error) {
	cmd := newPasta(s)
	s.given = cmd.Flags().Changed
	operands, err := cmdline.Parse(cmd, args, false)
	if err != nil {
		return nil, err
	}
	if err := s.finish(operands); err != nil {
		return nil, err
	}
	return &s.opts, nil
}

// newPasta builds the command with its option table over s.
func newPasta(s *settings) *cobra.Command {
	cmd := cmdline.New("pasta [OPTION]... [COMMAND] [ARGS]...", shortText, nil, usage)
	cmd.Long, cmd.Example = longText, exampleText
	flags := cmd.Flags()
	addGroup(flags, GroupGeneral, s.generalOptions())
	addGroup(flags, GroupInterface, s.linkOptions())
	addGroup(flags, GroupInterface, s.addressOptions())
	addGroup(flags, GroupServices, s.dnsOptions())
	addGroup(flags, GroupServices, s.serviceOptions())
	addGroup(flags, GroupForward, s.forwardOptions())
	addGroup(flags, GroupNamespace, s.namespaceOptions())
	addGroup(flags, GroupDebug, s.debugOptions())
	addGroup(flags, "", vmOptions())
	return cmd
}
