// Command pasta connects network namespaces, and later virtual machines, to the
// network of the host without privileges. One binary serves under several names:
// the program name chooses the personality.
package main

import (
	"fmt"
	"os"

	"github.com/pasta-net/pasta/cmd/pasta/command"
	"github.com/pasta-net/pasta/cmd/pasta/daemon"
	"github.com/pasta-net/pasta/compat/pesto"
	"github.com/pasta-net/pasta/compat/slirp4netns"
	"github.com/pasta-net/pasta/compat/vpnkit"
	"github.com/pasta-net/pasta/netcfg/attach"
)

func main() {
	for _, reentry := range []func() (exit int, handled bool){daemon.Reentry, attach.Reentry} {
		if exit, handled := reentry(); handled {
			os.Exit(exit)
		}
	}
	os.Exit(run(os.Args))
}

// run starts the personality that the program name asks for and returns the exit
// status.
func run(argv []string) int {
	name, ok := personality(argv)
	switch {
	case !ok:
		fmt.Fprintln(os.Stderr, `Cannot determine mode, invoke as "passt" or "pasta"`)
		return 1
	case name == "pesto":
		return pesto.Run(argv[1:], command.VersionText(name), os.Stdout, os.Stderr)
	case name == "slirp4netns":
		return slirp4netns.Program{
			Release: command.Version(), Stdout: os.Stdout, Stderr: os.Stderr, Serve: daemon.Serve,
		}.Run(argv[1:])
	case name == "vpnkit":
		return vpnkit.Program{
			Version: command.Version(), Debug: os.Getenv("VPNKIT_DEBUG") != "",
			Stdout: os.Stdout, Stderr: os.Stderr, Serve: daemon.ServeHub,
		}.Run(argv[1:])
	case name != "pasta":
		fmt.Fprintf(os.Stderr, "%s: not supported yet, this release does not run virtual machines\n", name)
		return 1
	}
	return command.Pasta(argv[1:])
}
