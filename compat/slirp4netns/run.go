package slirp4netns

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// Program is what a run needs of its surroundings.
type Program struct {
	// Release is our own version.
	Release        string
	Stdout, Stderr io.Writer
	// Serve runs the service.
	Serve service.Runner
}

// run is one run of the program.
type run struct {
	Program
	settings *settings
}

// New returns the command, for generators of documentation.
func New() *cobra.Command { return (&run{settings: newSettings(io.Discard)}).command() }

// Run runs slirp4netns with the words behind the program name and returns the exit
// status.
func (p Program) Run(args []string) (exit int) {
	r := &run{Program: p, settings: newSettings(p.Stdout)}
	cmd := r.command()
	if err := r.parse(cmd, args); err != nil {
		return r.status(cmd, err)
	}
	s := r.settings
	d := takeDescriptors(s.readyFD, s.exitFD) // before anything else can take their numbers
	if s.sandbox && !insideSandbox() {
		exit, err := enterSandbox(s)
		if err != nil {
			return r.status(cmd, err)
		}
		return exit
	}
	d.keep()
	if err := followParent(); err != nil {
		return r.status(cmd, err)
	}
	return r.Serve(r.service(d))
}

func (r *run) parse(cmd *cobra.Command, args []string) error {
	operands, err := cmdline.Parse(cmd, args, true)
	if err != nil {
		return err
	}
	if err := r.settings.takeOperands(operands); err != nil {
		return err
	}
	return r.settings.takeValues()
}

// status tells about an error, with the usage text on standard output where upstream
// shows it, and returns the exit status for it.
func (r *run) status(cmd *cobra.Command, err error) (exit int) {
	var words usageError
	var unknown *getopt.UsageError
	var open unterminated
	err = cmdline.Settle(err, r.Stdout)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &words), errors.As(err, &unknown):
		if err.Error() != "" {
			fmt.Fprintln(r.Stderr, err)
		}
		fmt.Fprint(r.Stdout, cmd.UsageString())
	case errors.As(err, &open):
		fmt.Fprint(r.Stderr, err)
	default:
		fmt.Fprintln(r.Stderr, err)
	}
	return 1
}

// command builds the command with its option table over r.
func (r *run) command() *cobra.Command {
	return cmdline.New("slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]",
		"user-mode networking for unprivileged network namespaces", r.options(), usage)
}

// service is what the settings ask for.
func (r *run) service(d *descriptors) *service.Service {
	s := r.settings
	svc := &service.Service{
		Name: "slirp4netns", Level: slog.LevelWarn, Config: s.config(), Stations: s.stations(), MaxRules: maxForwards,
		Open: r.open, Confine: s.confine, Ready: d.tellReady,
	}
	// A host without resolvers is one where the address of DNS leads nowhere.
	conf, _ := resolv.Read(resolv.Path)
	svc.Config.V4.DNSHost, svc.Config.V6.DNSHost = resolvers(conf)
	if !s.disableDNS {
		svc.Servers = append(svc.Servers, newFollower)
	}
	if s.apiSocket != "" {
		svc.Servers = append(svc.Servers, r.newAPI)
	}
	if s.exitFD != noFD {
		svc.Until = func() {
			d.awaitHangup()
			fmt.Fprint(r.Stderr, "exitfd event\ndo_slirp is exiting\n")
			s.removeSocket()
		}
	}
	return svc
}
