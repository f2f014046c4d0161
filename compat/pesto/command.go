package pesto

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/portfwd"
)

// run is one run of the program.
type run struct {
	version        string
	stdout, stderr io.Writer

	program           program
	show, debug, json bool
}

// New returns the command, for generators of documentation.
func New() *cobra.Command { return new(run).command() }

// Run runs pesto with the words behind the program name; version is the output of
// --version. It returns the exit status.
func Run(args []string, version string, stdout, stderr io.Writer) (exit int) {
	r := &run{version: version, stdout: stdout, stderr: stderr}
	cmd := r.command()
	operands, err := cmdline.Parse(cmd, args, false)
	if err == nil && len(operands) != 1 {
		err = &getopt.UsageError{Program: cmd.Name(), Msg: "exactly one PATH is needed"}
	}
	if err == nil {
		err = r.execute(operands[0])
	}
	return cmdline.Status(cmd, err, stdout, stderr)
}

// command builds the command with its option table over r.
func (r *run) command() *cobra.Command {
	return cmdline.New("pesto [OPTION]... PATH", "show and change the port forwards of a running pasta", r.options(),
		cmdline.Usage("Show or change the forwards of the pasta with the control socket PATH."))
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
		{Name: "help", Short: "h", On: cmdline.Help, Usage: "Print this help on standard output and exit"},
		{Name: "version", On: cmdline.Say(r.version), Usage: "Print the version on standard output and exit"},
	}
}

// ports records an option with a port specification.
func (p *program) ports(option, text string) error {
	spec, err := portfwd.ParseSpec(text)
	if err != nil {
		return err
	}
	if fromGuest(option) && spec.HasListen() {
		return cmdline.Errorf("Listening address not allowed for %s %s", option, text)
	}
	p.steps = append(p.steps, step{action: p.mode, option: option, spec: spec})
	return nil
}
