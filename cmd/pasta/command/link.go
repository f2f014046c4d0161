package command

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
	"github.com/pasta-net/pasta/core/config"
)

// maxIfName is the longest interface name in bytes (IFNAMSIZ with its final NUL).
const maxIfName = 15

// linkOptions are the options of pasta-cli.md section 2.2 about interfaces.
func (s *settings) linkOptions() []option {
	n := &s.opts.Net
	return []option{
		{
			name: "mtu", short: "m", set: s.mtu, def: "65520",
			usage: "Assign and advertise an MTU of `BYTES`, at least 68, with IPv6 1280; 0: none",
		},
		{
			name: "interface", short: "i", set: s.templateInterface, complete: CompleteInterface,
			usage: "Take addresses and routes from interface `NAME`",
		},
		{
			name: "outbound-if4", set: ifName(&n.OutboundIf4), complete: CompleteInterface,
			usage: "Bind IPv4 sockets of outbound flows to interface `NAME`",
		},
		{
			name: "outbound-if6", set: ifName(&n.OutboundIf6), complete: CompleteInterface,
			usage: "Bind IPv6 sockets of outbound flows to interface `NAME`",
		},
		{
			name: "ns-ifname", short: "I", set: ifName(&n.NsIfName), def: "name of the template interface, or tap0",
			usage: "Call the interface in the namespace `NAME`",
		},
		{name: "ns-mac-addr", set: s.nsMAC, usage: "Hardware address `MAC` of the interface in the namespace"},
		{
			name: "mac-addr", short: "M", set: s.ourMAC, def: "9a:55:9a:55:9a:55",
			usage: "Use `MAC` as source of the frames we send",
		},
		{name: "ipv4-only", short: "4", on: s.ipv4Only, usage: "Disable IPv6"},
		{name: "ipv6-only", short: "6", on: s.ipv6Only, usage: "Disable IPv4"},
		{
			name: "config-net", on: getopt.TurnOn(&n.ConfigNet),
			usage: "Configure addresses, routes and MTU in the namespace",
		},
		{
			name: "no-copy-routes", on: s.noCopyRoutes,
			usage: "Install the default route only; deprecated, needs --config-net",
		},
		{
			name: "no-copy-addrs", on: s.noCopyAddrs,
			usage: "Install a single address only; deprecated, needs --config-net",
		},
		{
			name: "splice-only", on: s.spliceOnly,
			usage: "No interface, only forwards between loopback addresses",
		},
	}
}

// spliceOnly sets --splice-only.
func (s *settings) spliceOnly() error {
	s.opts.Net.NoInterface, s.opts.Bypass.Only = true, true
	return nil
}

func (s *settings) mtu(text string) error {
	mtu, err := parseInteger(text)
	if err != nil {
		return cmdline.Errorf("Invalid MTU: %s", text)
	}
	if mtu > config.MaxMTU {
		return cmdline.Errorf("MTU %d too large (max %d)", mtu, config.MaxMTU)
	}
	s.opts.Net.MTU = mtu
	return nil
}

// templateInterface sets -i, the only interface that must exist at this point.
func (s *settings) templateInterface(name string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		return cmdline.Errorf("Invalid interface name %s: No such device", name)
	}
	s.opts.Net.Interface = name
	return nil
}

// ifName returns a "set" function for the name of an interface that need not
// exist yet.
func ifName(target *string) func(string) error {
	return func(name string) error {
		if why := badIfName(name); why != "" {
			return cmdline.Errorf("Invalid interface name: %s (%s)", name, why)
		}
		*target = name
		return nil
	}
}

// badIfName says why the kernel has no interface of that name (dev_valid_name, and
// "%" stands for a number when one is made), "" if it may have.
func badIfName(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > maxIfName:
		return "more than " + strconv.Itoa(maxIfName) + " bytes"
	case name == "." || name == "..":
		return "a directory"
	}
	for _, c := range []byte(name) {
		if strings.IndexByte("/:% \t\n\v\f\r\xa0", c) >= 0 {
			return fmt.Sprintf("%q is not allowed", c)
		}
	}
	return ""
}

// nsMAC takes what the kernel takes for an interface.
func (s *settings) nsMAC(text string) error {
	mac, err := parseMAC(text)
	switch {
	case err != nil:
		return err
	case mac[0]&1 != 0:
		return cmdline.Errorf("Invalid MAC address: %s (of a group, no interface takes it: the first octet has to be even)", text)
	case mac == [6]byte{}:
		return cmdline.Errorf("Invalid MAC address: %s (no interface takes it; leave the option out for a random one)", text)
	}
	s.opts.Net.NsMAC = &mac
	return nil
}

// ourMAC takes any address, because a guest that is an end of its traffic does: Linux
// checks the source of frames only where it bridges them (is_valid_ether_addr).
func (s *settings) ourMAC(text string) (err error) {
	s.opts.Net.OurMAC, err = parseMAC(text)
	if err == nil && (s.opts.Net.OurMAC[0]&1 != 0 || s.opts.Net.OurMAC == [6]byte{}) {
		s.warn("--mac-addr %s: not the address of a single interface, bridges in the namespace drop what comes from it", text)
	}
	return err
}

// ipv4Only and ipv6Only cancel each other.
func (s *settings) ipv4Only() error {
	s.opts.Net.V4, s.opts.Net.V6 = true, false
	return nil
}

func (s *settings) ipv6Only() error {
	s.opts.Net.V4, s.opts.Net.V6 = false, true
	return nil
}

func (s *settings) noCopyRoutes() error {
	s.warn("--no-copy-routes will be dropped soon")
	s.opts.Net.NoCopyRoutes = true
	return nil
}

func (s *settings) noCopyAddrs() error {
	s.warn("--no-copy-addrs will be dropped soon")
	s.opts.Net.NoCopyAddrs = true
	return nil
}
