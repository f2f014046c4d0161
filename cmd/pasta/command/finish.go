package command

import (
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
)

// finish applies the rules between options, and takes the operands.
func (s *settings) finish(operands []string) (err error) {
	n := &s.opts.Net
	switch {
	case n.NoCopyRoutes && !n.ConfigNet:
		return cmdline.Errorf("--no-copy-routes needs --config-net")
	case n.NoCopyAddrs && !n.ConfigNet:
		return cmdline.Errorf("--no-copy-addrs needs --config-net")
	case s.opts.Bypass.SameLoopback && !s.opts.Bypass.Inbound:
		return cmdline.Errorf("--host-lo-to-ns-lo is incompatible with --no-splice")
	}
	if err := s.target(operands); err != nil {
		return err
	}
	s.opts.Forwards, err = s.forwards()
	return err
}

// target decides by the operands what is connected (pasta-cli.md section 2.6).
func (s *settings) target(operands []string) error {
	t := &s.opts.Target
	switch {
	case t.Netns != "" && len(operands) > 0:
		return cmdline.Errorf("Both --netns and PID or command given")
	case t.Netns != "":
		t.NetnsOnly = t.Userns == ""
	case len(operands) == 1 && isDigits(operands[0]):
		pid, err := strconv.ParseInt(operands[0], 10, 32)
		if err != nil || pid == 0 {
			return cmdline.Errorf("Invalid PID %s", operands[0])
		}
		t.PID = int(pid)
	default:
		t.Spawn, t.Command = true, operands
		s.opts.Foreground = true
	}
	if t.NoPIDNS && !t.Spawn {
		return cmdline.Errorf("--no-pidns is incompatible with PID or --netns")
	}
	return nil
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
