package pesto

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
		flags.AddFlag(o.flag())
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

// option is one row of the table.
type option struct {
	name, short, usage string
	// set is called with each argument; on, for an option without one, at each
	// occurrence.
	set func(string) error
	on  func() error
}

func (r *run) options() []option {
	p := &r.program
	ports := func(option string) func(string) error {
		return func(text string) error { return p.ports(option, text) }
	}
	return []option{
		{name: "tcp-ports", short: "t", set: ports("-t"), usage: "Forward TCP ports of the host: `SPEC` as for pasta"},
		{name: "udp-ports", short: "u", set: ports("-u"), usage: "Forward UDP ports of the host: `SPEC` as for pasta"},
		{name: "tcp-ns", short: "T", set: ports("-T"), usage: "Forward TCP ports of the namespace: `SPEC` as for pasta"},
		{name: "udp-ns", short: "U", set: ports("-U"), usage: "Forward UDP ports of the namespace: `SPEC` as for pasta"},
		{name: "add", short: "A", on: p.add, usage: "Add the forwards that follow, up to --delete or --clear"},
		{name: "delete", short: "D", on: p.remove, usage: "Delete the forwards that follow, up to --add or --clear"},
		{name: "clear", short: "C", set: p.clear, usage: "Clear a table, `PIF`: HOST or SPLICE"},
		{name: "show", short: "s", on: turnOn(&r.show), usage: "Print the forwards before and after a change"},
		{name: "json", on: turnOn(&r.json), usage: "Print forwards as JSON"},
		{name: "debug", short: "d", on: turnOn(&r.debug), usage: "Tell on standard error what happens"},
		{name: "help", short: "h", on: r.help, usage: "Print this help on standard output and exit"},
		{name: "version", on: r.printVersion, usage: "Print the version on standard output and exit"},
	}
}

func turnOn(target *bool) func() error {
	return func() error {
		*target = true
		return nil
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

func (o option) flag() *pflag.Flag {
	flag := &pflag.Flag{Name: o.name, Shorthand: o.short, Usage: o.usage}
	if o.on != nil {
		flag.NoOptDefVal = "true"
		flag.Value = &value{set: func(string) error { return o.on() }}
	} else {
		flag.Value = &value{set: o.set, takes: true}
	}
	return flag
}

// value is a pflag.Value that hands each occurrence of an option to a function, so
// that their order counts.
type value struct {
	set   func(string) error
	takes bool
}

// Set passes the argument on.
func (v *value) Set(text string) error { return v.set(text) }

// String returns no value: there is no default.
func (v *value) String() string { return "" }

// Type returns what pflag needs to show options without argument as such.
func (v *value) Type() string {
	if v.takes {
		return "string"
	}
	return "bool"
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
