package command

import "github.com/pasta-net/pasta/compat/getopt"

// serviceOptions are the options of pasta-cli.md section 2.3 that switch
// protocols and link services off.
func (s *settings) serviceOptions() []option {
	o, n := &s.opts, &s.opts.Net
	return []option{
		{name: "no-tcp", on: turnOff(&o.TCP), usage: "Do not serve TCP"},
		{name: "no-udp", on: turnOff(&o.UDP), usage: "Do not serve UDP"},
		{name: "no-icmp", on: s.noICMP, usage: "Do not serve ICMP and ICMPv6, implies --no-ndp"},
		{name: "no-dhcp", on: getopt.TurnOn(&n.NoDHCP), usage: "Do not answer DHCP"},
		{name: "no-dhcpv6", on: getopt.TurnOn(&n.NoDHCPv6), usage: "Do not answer DHCPv6"},
		{name: "no-ndp", on: getopt.TurnOn(&n.NoNDP), usage: "Do not answer NDP, implies --no-ra"},
		{name: "no-ra", on: getopt.TurnOn(&n.NoRA), usage: "Do not send router advertisements"},
	}
}

func (s *settings) noICMP() error {
	s.opts.ICMP = false
	s.opts.Net.NoNDP = true
	return nil
}
