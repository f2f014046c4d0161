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
	case s.opts.Bypass.Only && !s.opts.Bypass.Inbound:
		return cmdline.Errorf("--splice-only is incompatible with --no-splice")
	}
	if err := s.target(operands); err != nil {
		return err
	}
	s.warnInVain()
	s.opts.Forwards, err = s.forwards()
	return err
}

// warnInVain reports options that have no effect beside others. What depends on the host
// too is up to netcfg.Decide.
func (s *settings) warnInVain() {
	if s.given("log-size") && s.opts.LogFile == "" {
		s.warn("--log-size: no effect without --log-file")
	}
	if s.opts.Target.NoNetnsQuit && s.opts.Target.Spawn {
		s.warn("--no-netns-quit: no effect with a command, whose end is that of pasta")
	}
	if !s.opts.Bypass.Only {
		return
	}
	var vain []string
	for _, name := range interfaceOptions() {
		if s.given(name) {
			vain = append(vain, "--"+name)
		}
	}
	if len(vain) > 0 {
		s.warn("%s: no effect, with --splice-only there is no interface in the namespace", strings.Join(vain, ", "))
	}
}

// interfaceOptions lists options that are about nothing else than the interface in the
// namespace, and what is told or translated there. Those that callers always give
// (--config-net, --dns-forward, --map-guest-addr) are left out.
func interfaceOptions() []string {
	return []string{
		"mtu", "interface", "outbound-if4", "outbound-if6", "ns-ifname", "ns-mac-addr", "mac-addr",
		"address", "netmask", "gateway", "outbound", "map-host-loopback",
		"dns", "dns-host", "search", "dhcp-dns", "dhcp-search", "hostname", "fqdn", "pcap",
	}
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
