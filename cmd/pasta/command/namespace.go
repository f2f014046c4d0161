package command

import (
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

// netnsDir is where iproute2 keeps named network namespaces.
const netnsDir = "/run/netns/"

// namespaceOptions are the options of pasta-cli.md section 2.5.
func (s *settings) namespaceOptions() []option {
	t := &s.opts.Target
	return []option{
		{
			name: "netns", set: s.netns, complete: CompleteNetns,
			usage: "Connect the network namespace `PATH|NAME` (names are below /run/netns)",
		},
		{name: "userns", set: s.userns, complete: CompleteFile, usage: "Join the user namespace `PATH` first"},
		{
			name: "netns-only", on: s.netnsOnly,
			usage: "Neither join nor create a user namespace, implied by --netns without --userns",
		},
		{name: "no-netns-quit", on: getopt.TurnOn(&t.NoNetnsQuit), usage: "Do not exit when the namespace of a PID or of --netns goes away"},
		{name: "no-pidns", on: getopt.TurnOn(&t.NoPIDNS), usage: "Leave the command in the caller's PID namespace"},
	}
}

func (s *settings) netns(ref string) error {
	if ref == "" {
		return cmdline.Errorf("Invalid network namespace: empty name")
	}
	if !strings.Contains(ref, "/") {
		ref = netnsDir + ref
	}
	s.opts.Target.Netns = ref
	return nil
}

// userns and netnsOnly cancel each other.
func (s *settings) userns(path string) error {
	if path == "" {
		return cmdline.Errorf("Invalid --userns: empty path")
	}
	s.opts.Target.Userns, s.opts.Target.NetnsOnly = path, false
	return nil
}

func (s *settings) netnsOnly() error {
	s.opts.Target.Userns, s.opts.Target.NetnsOnly = "", true
	return nil
}
