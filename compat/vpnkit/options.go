package vpnkit

import "strings"

// options is the table of what is supported.
func (r *run) options() []option {
	s := r.settings
	n := &s.network
	joined := func(names []string) string { return strings.Join(names, ",") }
	return []option{
		{name: "ethernet", set: word(&s.ethernet), usage: "Serve clients on the UNIX socket `PATH`, or on the bound socket with descriptor N as fd:N"},
		{name: "mtu", set: integer(&n.mtu, minMTU, maxMTU), def: "1500", usage: "`MTU` of the network, 68 to 65521"},
		{name: "host-ip", set: address(&n.host, true), def: n.host.String(), usage: "`ADDRESS` that stands for the host's loopback, 0.0.0.0 for none"},
		{name: "gateway-ip", set: address(&n.gateway, false), def: n.gateway.String(), usage: "`ADDRESS` of gateway, DNS and DHCP server"},
		{name: "lowest-ip", set: address(&n.lowest, false), def: n.lowest.String(), usage: "First `ADDRESS` for clients"},
		{name: "highest-ip", set: address(&n.highest, false), def: n.highest.String(), usage: "Last `ADDRESS` for clients"},
		{name: "server-macaddr", set: hardware(&n.serverMAC), def: "F6:16:36:BC:F9:C6", usage: "`MAC` address of gateway and host"},
		{name: "hosts", set: word(&s.names.hostsFile), def: s.names.hostsFile, usage: "`FILE` of further names, read for each client"},
		{name: "host-names", set: list(&s.names.host), def: joined(s.names.host), usage: "`NAMES` of the host, separated by commas"},
		{name: "gateway-names", set: list(&s.names.gateway), def: joined(s.names.gateway), usage: "`NAMES` of the gateway"},
		{name: "vm-names", set: list(&s.names.vm), def: joined(s.names.vm), usage: "`NAMES` of the client itself"},
		{name: "domain", set: word(&s.domain), def: s.domain, usage: "Domain `NAME` that clients are told"},
		{name: "dhcp-path", set: word(&s.dhcpPath), usage: "JSON `FILE` with \"searchDomains\" and \"domainName\" for clients"},
		{name: "listen-backlog", set: integer(&s.backlog, 1, 1<<16), def: "32", usage: "`NUMBER` of clients that may wait to be accepted"},
		{name: "max-connections", set: ignored, usage: "No effect: `NUMBER` of connections"},
		{name: "port-max-idle-time", set: ignored, usage: "No effect: `SECONDS` that forwards may be idle"},
		{name: "gc-compact-interval", set: ignored, usage: "No effect: `SECONDS` between collections of garbage"},
		{name: "debug", set: r.debugOn, bare: true, usage: "Log more on standard error"},
		{name: "help", set: r.help, bare: true, optional: true, usage: "Print this help on standard output and exit"},
		{name: "version", set: r.printVersion, bare: true, usage: "Print the version on standard output and exit"},
	}
}

// unsupported lists the other options of VPNKit. All take an argument.
var unsupported = [...]string{
	"dns", "port", "port-forwards", "vsock-path", "allowed-bind-addresses", "tcpv4-forwards", "udpv4-forwards",
	"gateway-forwards", "forwards", "http", "http-api-path", "introspection", "diagnostics", "pcap", "pcap-snaplen",
}

func (r *run) debugOn(string) error {
	r.settings.debug = true
	return nil
}

// ignored is for options that have no effect in VPNKit either, or none that a client
// could notice.
func ignored(string) error { return nil }
