package vpnkit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

// options is the table of options. Errors of their arguments say which option they are about.
func (r *run) options() []getopt.Option {
	options := r.supported()
	for _, name := range unsupported {
		options = append(options, getopt.Option{Name: name, Set: refuse, Hidden: true})
	}
	for i := range options {
		options[i].Set = naming(options[i])
	}
	return options
}

// supported is the table of what is there.
func (r *run) supported() []getopt.Option {
	s := r.settings
	n := &s.network
	joined := func(names []string) string { return strings.Join(names, ",") }
	return []getopt.Option{
		{Name: "ethernet", Set: getopt.Keep(&s.ethernet), Usage: "Serve clients on the UNIX socket `PATH`, or on the bound socket with descriptor N as fd:N"},
		{Name: "mtu", Set: integer(&n.mtu, minMTU, maxMTU), Def: "1500", Usage: "`MTU` of the network, 68 to 65521"},
		{Name: "host-ip", Set: address(&n.host, true), Def: n.host.String(), Usage: "`ADDRESS` that stands for the host's loopback, 0.0.0.0 for none"},
		{Name: "gateway-ip", Set: address(&n.gateway, false), Def: n.gateway.String(), Usage: "`ADDRESS` of gateway, DNS and DHCP server"},
		{Name: "lowest-ip", Set: address(&n.lowest, false), Def: n.lowest.String(), Usage: "First `ADDRESS` for clients"},
		{Name: "highest-ip", Set: address(&n.highest, false), Def: n.highest.String(), Usage: "Last `ADDRESS` for clients"},
		{Name: "server-macaddr", Set: hardware(&n.serverMAC), Def: "F6:16:36:BC:F9:C6", Usage: "`MAC` address of gateway and host"},
		{Name: "hosts", Set: getopt.Keep(&s.names.hostsFile), Def: s.names.hostsFile, Usage: "`FILE` of further names, read for each client"},
		{Name: "host-names", Set: list(&s.names.host), Def: joined(s.names.host), Usage: "`NAMES` of the host, separated by commas"},
		{Name: "gateway-names", Set: list(&s.names.gateway), Def: joined(s.names.gateway), Usage: "`NAMES` of the gateway"},
		{Name: "vm-names", Set: list(&s.names.vm), Def: joined(s.names.vm), Usage: "`NAMES` of the client itself"},
		{Name: "domain", Set: getopt.Keep(&s.domain), Def: s.domain, Usage: "Domain `NAME` that clients are told"},
		{Name: "dhcp-path", Set: getopt.Keep(&s.dhcpPath), Usage: "JSON `FILE` with \"searchDomains\" and \"domainName\" for clients"},
		{Name: "listen-backlog", Set: integer(&s.backlog, 1, 1<<16), Def: "32", Usage: "`NUMBER` of clients that may wait to be accepted"},
		{Name: "max-connections", Set: ignored, Usage: "No effect: `NUMBER` of connections"},
		{Name: "port-max-idle-time", Set: ignored, Usage: "No effect: `SECONDS` that forwards may be idle"},
		{Name: "gc-compact-interval", Set: ignored, Usage: "No effect: `SECONDS` between collections of garbage"},
		{Name: "debug", On: getopt.TurnOn(&s.debug), Usage: "Log more on standard error"},
		{Name: "help", On: cmdline.Help, Optional: true, Usage: "Print this help on standard output and exit"},
		{Name: "version", On: cmdline.Say(r.Version + "\n"), Usage: "Print the version on standard output and exit"},
	}
}

// unsupported lists the other options of VPNKit. All take an argument.
var unsupported = [...]string{
	"dns", "port", "port-forwards", "vsock-path", "allowed-bind-addresses", "tcpv4-forwards", "udpv4-forwards",
	"gateway-forwards", "forwards", "http", "http-api-path", "introspection", "diagnostics", "pcap", "pcap-snaplen",
}

// ignored is for options that have no effect in VPNKit either, or none that a client
// could notice.
func ignored(string) error { return nil }

// refuse is for options of VPNKit that there are not.
func refuse(string) error { return errNotSupported }

var errNotSupported = errors.New("not supported")

// naming returns the Set function of o with errors that say which option they are about.
func naming(o getopt.Option) func(string) error {
	if o.Set == nil {
		return nil
	}
	return func(text string) error {
		if err := o.Set(text); err != nil {
			return fmt.Errorf("vpnkit: option '--%s': %q: %w", o.Name, text, err)
		}
		return nil
	}
}
