package vpnkit

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// exitUsage is the status after an error on the command line.
const exitUsage = 124

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
	operands, err := cmdline.Parse(cmd, args, true)
	if err == nil && len(operands) > 0 {
		err = &getopt.UsageError{Program: cmd.Name(), Msg: fmt.Sprintf("unexpected argument %q", operands[0])}
	}
	if err == nil && r.settings.ethernet != "" {
		err = r.settings.finish()
	}
	switch {
	case err != nil:
		return p.status(err)
	case r.settings.ethernet == "":
		fmt.Fprintln(p.Stderr, "Please provide an --ethernet argument")
		return 0
	}
	return p.Serve(r.settings.hub())
}

// status tells about an error on the command line and returns the exit status for it.
func (p Program) status(err error) (exit int) {
	if err = cmdline.Settle(err, p.Stdout); err == nil {
		return 0
	}
	fmt.Fprintf(p.Stderr, "%s\nTry \"vpnkit --help\".\n", err)
	return exitUsage
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
	return cmdline.New("vpnkit --ethernet PATH [OPTION]...", "connect clients of the VMNET protocol to the network of the host",
		r.options(), cmdline.Usage("Serve Ethernet to the clients of a UNIX socket."))
}
