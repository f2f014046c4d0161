package slirp4netns

import (
	"cmp"
	"errors"
	"io/fs"
	"os"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

// options is the table of options, in the order of the help text.
func (r *run) options() []getopt.Option {
	s := r.settings
	return []getopt.Option{
		{Name: "configure", Short: "c", On: getopt.TurnOn(&s.configure), Usage: "bring up the interface"},
		{Name: "exit-fd", Short: "e", Set: descriptor(&s.exitFD, "exit-fd"), Usage: "end when the `FD` hangs up"},
		{Name: "ready-fd", Short: "r", Set: descriptor(&s.readyFD, "ready-fd"), Usage: "write 1 to the `FD` once the network is configured"},
		{Name: "mtu", Short: "m", Set: s.setMTU, Usage: "`MTU` of the network (default=1500, max=65521)"},
		{Name: "enable-ipv6", Short: "6", On: s.enableIPv6, Usage: "enable IPv6 (experimental)"},
		{Name: "api-socket", Short: "a", Set: getopt.Keep(&s.apiSocket), Usage: "serve the JSON API on the socket `PATH`"},
		{Name: "cidr", Set: getopt.Keep(&s.cidr), Usage: "IPv4 network, `CIDR` (default=10.0.2.0/24)"},
		{
			Name: "disable-host-loopback", On: getopt.TurnOn(&s.disableHostLoopback),
			Usage: "do not let the gateway address reach 127.0.0.1 of the host",
		},
		{Name: "no-host-loopback", On: s.noHostLoopback, Hidden: true},
		{Name: "netns-type", Set: s.setNetnsType, Usage: "what the first operand is, `TYPE` ([path|pid|tapfd], default=pid)"},
		{Name: "userns-path", Set: s.setUsernsPath, Usage: "user namespace to enter first, `PATH`"},
		{
			Name: "enable-sandbox", On: getopt.TurnOn(&s.sandbox),
			Usage: "see /etc and /run only, and keep no capability but CAP_NET_BIND_SERVICE",
		},
		{Name: "create-sandbox", On: s.createSandbox, Hidden: true},
		{Name: "enable-seccomp", On: s.enableSeccomp, Usage: "block system calls that are not needed (experimental)"},
		{Name: "outbound-addr", Set: s.setOutbound4, Usage: "bind IPv4 sockets to the `IPv4` address or interface (experimental)"},
		{Name: "outbound-addr6", Set: s.setOutbound6, Usage: "bind IPv6 sockets to the `IPv6` address or interface (experimental)"},
		{Name: "disable-dns", On: getopt.TurnOn(&s.disableDNS), Usage: "do not forward 10.0.2.3 (or its like) to a resolver (experimental)"},
		{Name: "macaddress", Set: s.setMAC, Usage: "`MAC` address of the tap (only valid with -c)"},
		{Name: "target-type", Set: getopt.Keep(&s.targetType), Usage: "`TYPE` of the target ([netns|bess], default=netns)"},
		{Name: "help", Short: "h", On: cmdline.Help, Usage: "show this help and exit"},
		{Name: "version", Short: "v", On: cmdline.Say(versionText(r.Release)), Usage: "show version and exit"},
	}
}

// descriptor returns the "set" function of an option that names a descriptor.
func descriptor(target *int, name string) func(string) error {
	return func(text string) error {
		fd, ok := number(text)
		if !ok || fd < 0 {
			return usageError(name + " must be a non-negative integer")
		}
		*target = fd
		return nil
	}
}

// setNetnsType: an empty word is as unknown as others, and those are paths.
func (s *settings) setNetnsType(text string) error {
	s.netnsType = cmp.Or(text, netnsPath)
	return nil
}

func (s *settings) setMAC(text string) error {
	s.macGiven, s.mac = true, text
	return nil
}

func (s *settings) setMTU(text string) error {
	mtu, ok := number(text)
	if !ok || mtu <= 0 || mtu > maxMTU {
		return usageError("MTU must be a positive integer (< 65522)")
	}
	s.mtu = mtu
	return nil
}

func (s *settings) enableIPv6() error {
	s.ipv6 = true
	s.warn("Support for IPv6 is experimental")
	return nil
}

func (s *settings) enableSeccomp() error {
	s.seccomp = true
	s.warn("Support for seccomp is experimental")
	return nil
}

func (s *settings) noHostLoopback() error {
	s.disableHostLoopback = true
	s.warn("--no-host-loopback is deprecated, please use --disable-host-loopback instead.")
	return nil
}

func (s *settings) createSandbox() error {
	s.sandbox = true
	s.warn("--create-sandbox is deprecated, please use --enable-sandbox instead.")
	return nil
}

func (s *settings) setOutbound4(text string) error {
	s.outbound[0] = source{given: true, text: text}
	s.warn("Support for --outbound-addr is experimental")
	return nil
}

func (s *settings) setOutbound6(text string) error {
	s.outbound[1] = source{given: true, text: text}
	s.warn("Support for --outbound-addr6 is experimental")
	return nil
}

func (s *settings) setUsernsPath(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return usageError("userns path doesn't exist: " + path)
	}
	s.usernsPath = path
	return nil
}
