package vpnkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// exitUsage is the status after an error on the command line.
const exitUsage = 124

// errDone ends the parsing with success.
var errDone = errors.New("done")

// Program is what a run needs of its surroundings.
type Program struct {
	// Version is what --version prints.
	Version string
	// Debug is --debug from the start, as by the environment.
	Debug          bool
	Stdout, Stderr io.Writer
	// Serve runs the server.
	Serve service.HubRunner
}

// New returns the command, for generators of documentation.
func New() *cobra.Command { return (&run{settings: newSettings()}).command() }

// Run runs vpnkit with the words behind the program name and returns the exit status.
func (p Program) Run(args []string) (exit int) {
	r := &run{Program: p, settings: newSettings()}
	r.settings.debug = p.Debug
	cmd := r.command()
	parser := getopt.Parser{Program: cmd.Name(), Flags: cmd.Flags(), Permute: true}
	operands, err := parser.Parse(args)
	if err == nil && len(operands) > 0 {
		err = &getopt.UsageError{Program: cmd.Name(), Msg: fmt.Sprintf("unexpected argument %q", operands[0])}
	}
	if err == nil && r.settings.ethernet != "" {
		err = r.settings.finish()
	}
	switch {
	case errors.Is(err, errDone):
		return 0
	case err != nil:
		fmt.Fprintf(p.Stderr, "%s\nTry \"vpnkit --help\".\n", err)
		return exitUsage
	case r.settings.ethernet == "":
		fmt.Fprintln(p.Stderr, "Please provide an --ethernet argument")
		return 0
	}
	return p.Serve(r.settings.hub())
}

// hub is the server that the settings ask for.
func (s *settings) hub() *service.Hub {
	h := &service.Hub{Name: "vpnkit", Level: slog.LevelInfo}
	if s.debug {
		h.Level = slog.LevelDebug
	}
	h.Serve = func(attach service.Attach, log *slog.Logger) error {
		l, err := listen(s.ethernet, s.backlog)
		if err != nil {
			return err
		}
		defer l.Close()
		if err := isolate.FilterCalls(); err != nil {
			log.Warn("run without a filter", "err", err)
		}
		server := newServer(s, attach, log)
		server.resolver.follow(context.Background(), resolv.Path)
		return server.serve(l)
	}
	return h
}

// run is one run of the program.
type run struct {
	Program
	settings *settings
}

// command builds the command with its option table over r.
func (r *run) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vpnkit --ethernet PATH [OPTION]...",
		Short: "connect clients of the VMNET protocol to the network of the host",
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, o := range r.options() {
		flags.AddFlag(o.flag())
	}
	for _, name := range unsupported {
		flags.AddFlag(refused(name))
	}
	cmd.SetUsageFunc(func(c *cobra.Command) error {
		_, err := fmt.Fprintf(c.OutOrStdout(), "Usage: %s\n\nServe Ethernet to the clients of a UNIX socket.\n\n%s", c.Use, flags.FlagUsages())
		return err
	})
	return cmd
}

func (r *run) help(string) error {
	fmt.Fprint(r.Stdout, r.command().UsageString())
	return errDone
}

func (r *run) printVersion(string) error {
	fmt.Fprintln(r.Stdout, r.Version)
	return errDone
}

// option is one row of the table.
type option struct {
	name, usage, def string
	set              func(string) error
	// bare options take no argument, or with optional perhaps one.
	bare, optional bool
}

func (o option) flag() *pflag.Flag {
	f := &pflag.Flag{Name: o.name, Usage: o.usage, DefValue: o.def, Value: &value{option: o}}
	if o.bare {
		f.NoOptDefVal = "true"
	}
	if o.optional {
		f.Annotations = map[string][]string{getopt.Optional: {}}
	}
	return f
}

// value is a pflag.Value that hands the argument to a function.
type value struct{ option }

// Set passes the argument on, and says which option an error is about.
func (v *value) Set(text string) error {
	err := v.set(text)
	if err == nil || errors.Is(err, errDone) {
		return err
	}
	return fmt.Errorf("vpnkit: option '--%s': %q: %w", v.name, text, err)
}

// String returns the default.
func (v *value) String() string { return v.def }

// Type returns what pflag needs to show options without argument as such.
func (v *value) Type() string {
	if v.bare {
		return "bool"
	}
	return "string"
}

// refused is the flag of an option of VPNKit that there is not.
func refused(name string) *pflag.Flag {
	return &pflag.Flag{Name: name, Hidden: true, Value: &value{option: option{name: name, set: func(string) error {
		return errNotSupported
	}}}}
}

var errNotSupported = errors.New("not supported")
