package pesto

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/portfwd"
)

// errDone ends the parsing with success.
var errDone = errors.New("done")

// run is one run of the program.
type run struct {
	version        string
	stdout, stderr io.Writer

	program           program
	show, debug, json bool
}

// New returns the command, for generators of documentation.
func New() *cobra.Command { return (&run{stdout: io.Discard, stderr: io.Discard}).command() }

// Run runs pesto with the words behind the program name; version is the output of
// --version. It returns the exit status.
func Run(args []string, version string, stdout, stderr io.Writer) (exit int) {
	r := &run{version: version, stdout: stdout, stderr: stderr}
	cmd := r.command()
	parser := getopt.Parser{Program: cmd.Name(), Flags: cmd.Flags()}
	operands, err := parser.Parse(args)
	if err == nil && len(operands) != 1 {
		err = &getopt.UsageError{Program: cmd.Name(), Msg: "exactly one PATH is needed"}
	}
	if err == nil {
		err = cmd.RunE(cmd, operands)
	}
	return r.status(cmd, err)
}

// status prints the error, with the usage text if that helps.
func (r *run) status(cmd *cobra.Command, err error) (exit int) {
	if err == nil || errors.Is(err, errDone) {
		return 0
	}
	fmt.Fprintln(r.stderr, err)
	var usage *getopt.UsageError
	if errors.As(err, &usage) {
		fmt.Fprint(r.stderr, cmd.UsageString())
	}
	return 1
}

// command builds the command with its option table over r.
func (r *run) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pesto [OPTION]... PATH",
		Short: "show and change the port forwards of a running pasta",
		RunE:  func(_ *cobra.Command, operands []string) error { return r.execute(operands[0]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, o := range r.options() {
		flags.AddFlag(o.Flag())
	}
	usage := func(*cobra.Command) string {
		return "Usage: " + cmd.Use + "\n\nShow or change the forwards of the pasta with the control socket PATH.\n\n" +
			flags.FlagUsages()
	}
	cmd.SetUsageFunc(func(c *cobra.Command) error {
		_, err := io.WriteString(c.OutOrStdout(), usage(c))
		return err
	})
	return cmd
}

func (r *run) options() []getopt.Option {
	p := &r.program
	ports := func(option string) func(string) error {
		return func(text string) error { return p.ports(option, text) }
	}
	return []getopt.Option{
		{Name: "tcp-ports", Short: "t", Set: ports("-t"), Usage: "Forward TCP ports of the host: `SPEC` as for pasta"},
		{Name: "udp-ports", Short: "u", Set: ports("-u"), Usage: "Forward UDP ports of the host: `SPEC` as for pasta"},
		{Name: "tcp-ns", Short: "T", Set: ports("-T"), Usage: "Forward TCP ports of the namespace: `SPEC` as for pasta"},
		{Name: "udp-ns", Short: "U", Set: ports("-U"), Usage: "Forward UDP ports of the namespace: `SPEC` as for pasta"},
		{Name: "add", Short: "A", On: p.add, Usage: "Add the forwards that follow, up to --delete or --clear"},
		{Name: "delete", Short: "D", On: p.remove, Usage: "Delete the forwards that follow, up to --add or --clear"},
		{Name: "clear", Short: "C", Set: p.clear, Usage: "Clear a table, `PIF`: HOST or SPLICE"},
		{Name: "show", Short: "s", On: getopt.TurnOn(&r.show), Usage: "Print the forwards before and after a change"},
		{Name: "json", On: getopt.TurnOn(&r.json), Usage: "Print forwards as JSON"},
		{Name: "debug", Short: "d", On: getopt.TurnOn(&r.debug), Usage: "Tell on standard error what happens"},
		{Name: "help", Short: "h", On: r.help, Usage: "Print this help on standard output and exit"},
		{Name: "version", On: r.printVersion, Usage: "Print the version on standard output and exit"},
	}
}

func (r *run) help() error {
	fmt.Fprint(r.stdout, r.command().UsageString())
	return errDone
}

func (r *run) printVersion() error {
	fmt.Fprint(r.stdout, r.version)
	return errDone
}

// ports records an option with a port specification.
func (p *program) ports(option, text string) error {
	spec, err := portfwd.ParseSpec(text)
	if err != nil {
		return err
	}
	if fromGuest(option) && spec.HasListen() {
		return errorText("Listening address not allowed for %s %s", option, text)
	}
	p.steps = append(p.steps, step{action: p.mode, option: option, spec: spec})
	return nil
}
