package slirp4netns

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What callers ask for before they use an option: at least the version that has all
// of them.
const (
	emulated        = "1.3.3"
	libslirp        = "4.9.0"
	libslirpVersion = 6
	libseccomp      = "2.6.0"
)

// versionText is the output of --version; release is ours. No line but the first may
// have the word "version" in lower case.
func versionText(release string) string {
	return fmt.Sprintf("slirp4netns version %s\ncommit: pasta-%s\nlibslirp: %s\nSLIRP_CONFIG_VERSION_MAX: %d\nlibseccomp: %s\n",
		emulated, release, libslirp, libslirpVersion, libseccomp)
}

// usageHead is the begin of the usage text.
const usageHead = `Usage: slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]
User-mode networking for unprivileged network namespaces.

`

// helpColumn is where help texts start.
const helpColumn = 25

// usage is the usage text. Callers find out about options by it: each long name is
// followed by "=" or a blank.
func usage(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString(usageHead)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		arg, text := pflag.UnquoteUsage(f)
		names := "--" + f.Name
		if f.Shorthand != "" {
			names = "-" + f.Shorthand + ", " + names
		}
		if f.NoOptDefVal == "" {
			names += "=" + arg
		}
		fmt.Fprintf(&b, "%-*s %s\n", helpColumn-1, names, text)
	})
	return b.String()
}

// summary writes what upstream tells at the start.
func (s *settings) summary() {
	n := &s.network
	lines := []struct {
		title string
		value any
	}{
		{"MTU", s.mtu},
		{"Network", n.prefix.Addr()},
		{"Netmask", netmask(n.prefix.Bits())},
		{"Gateway", n.gateway()},
		{"DNS", n.dns()},
		{"DHCP begin", n.host(poolOffset)},
		{"DHCP end", n.host(poolOffset + poolLen - 1)},
		{"Recommended IP", n.guest()},
		{"API Socket", s.apiSocket},
		{"Outbound IPv4", s.outbound[0].addr},
		{"Outbound IPv6", s.outbound[1].addr},
		{"MAC address", s.mac},
	}
	_, _ = fmt.Fprintln(s.stdout, "Starting slirp")
	for _, l := range lines {
		if l.value == "" || l.value == (netip.Addr{}) {
			continue
		}
		_, _ = fmt.Fprintf(s.stdout, "* %-16s %v\n", l.title+":", l.value)
	}
	if !s.disableHostLoopback {
		s.warn(fmt.Sprintf("127.0.0.1:* on the host is accessible as %s (set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)",
			n.gateway()))
	}
}

// netmask is a mask of so many bits in dotted form.
func netmask(bits int) netip.Addr {
	m := ^uint32(0) << (32 - bits)
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)})
}
