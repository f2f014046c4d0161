package command

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

// addressOptions are the options of pasta-cli.md section 2.2 about addresses.
func (s *settings) addressOptions() []option {
	return []option{
		{
			name: "address", short: "a", set: s.address,
			usage: "Assign `ADDR[/LEN]`, once per family, instead of the host's addresses",
		},
		{
			name: "netmask", short: "n", set: s.netmask,
			usage: "Length or dotted form `MASK` of the prefix of the IPv4 address given by --address",
		},
		{
			name: "gateway", short: "g", set: s.gateway,
			usage: "Default gateway `ADDR`, once per family, instead of the host's routes",
		},
		{
			name: "outbound", short: "o", set: s.outbound,
			usage: "Source `ADDR` of outbound flows on the host, once per family",
		},
		{
			name: "map-host-loopback", set: s.mapHostLoopback, def: "the gateway",
			usage: "Let the namespace reach the host's loopback at `ADDR`, once per family, or none",
		},
		{
			name: "no-map-gw", on: getopt.TurnOn(&s.opts.Net.NoMapGW),
			usage: "Do not map the gateway to the host's loopback",
		},
		{
			name: "map-guest-addr", set: s.mapGuestAddr,
			usage: "Let the namespace reach the host's own address at `ADDR`, once per family, or none",
		},
	}
}

// bits6 is the prefix length of the guest's IPv6 address.
const bits6 = 64

// address sets -a. An IPv6 prefix length is checked but not used.
func (s *settings) address(text string) error {
	addrText, lenText, hasLen := strings.Cut(text, "/")
	a, ok := parseAddr(addrText, refuse{loopback: true, multicast: true, broadcast: true})
	if !ok {
		return cmdline.Errorf("Invalid guest address: %s", addrText)
	}
	bits := 0
	if hasLen {
		n, err := strconv.ParseUint(lenText, 10, 8)
		if err != nil || int(n) > a.BitLen() {
			return cmdline.Errorf("Invalid prefix length: %s", text)
		}
		bits = int(n)
	}
	perFamily(a, &s.opts.Net.Address4, &s.opts.Net.Address6)
	if a.Is6() {
		if hasLen && bits != bits6 {
			s.warn("--address %s: the length has no effect, it is %d for IPv6", text, bits6)
		}
		return nil
	}
	return s.addressLength(bits, hasLen)
}

// addressLength notes the IPv4 length given by -a, or that it gave none.
func (s *settings) addressLength(bits int, given bool) error {
	if given && s.lengthInMask {
		return errRedundantLength
	}
	if given || s.lengthInAddress {
		s.opts.Net.PrefixLen4 = bits
	}
	s.lengthInAddress = given
	return nil
}

const errRedundantLength = cmdline.Text("Redundant prefix length specification")

// netmask sets -n; 0 is as if it was not given.
func (s *settings) netmask(text string) error {
	bits, err := parsePrefixLen(text)
	switch {
	case err != nil:
		return cmdline.Errorf("Invalid prefix length: %s", text)
	case bits == 0:
		return nil
	case s.lengthInAddress:
		return errRedundantLength
	}
	s.opts.Net.PrefixLen4 = bits
	s.lengthInMask = true
	return nil
}

func (s *settings) gateway(text string) error {
	a, ok := parseAddr(text, refuse{loopback: true, multicast: true, broadcast: true})
	if !ok {
		return cmdline.Errorf("Invalid gateway address: %s", text)
	}
	perFamily(a, &s.opts.Net.Gateway4, &s.opts.Net.Gateway6)
	return nil
}

func (s *settings) outbound(text string) error {
	a, ok := parseAddr(text, refuse{loopback6: true, multicast: true, broadcast: true})
	if !ok {
		return cmdline.Errorf("Invalid or redundant outbound address: %s", text)
	}
	perFamily(a, &s.opts.Net.Outbound4, &s.opts.Net.Outbound6)
	return nil
}

// mapHostLoopback sets --map-host-loopback; "none" implies --no-map-gw.
func (s *settings) mapHostLoopback(text string) error {
	n := &s.opts.Net
	if text == "none" {
		n.NoMapGW = true
	}
	return mapAddr(text, &n.MapHostLoopback4, &n.MapHostLoopback6)
}

func (s *settings) mapGuestAddr(text string) error {
	return mapAddr(text, &s.opts.Net.MapGuestAddr4, &s.opts.Net.MapGuestAddr6)
}

// mapAddr sets the mapped address of one family, or with "none" clears both.
func mapAddr(text string, v4, v6 *netip.Addr) error {
	if text == "none" {
		*v4, *v6 = netip.Addr{}, netip.Addr{}
		return nil
	}
	a, ok := parseAddr(text, refuse{loopback: true, multicast: true})
	if !ok {
		return cmdline.Errorf("Invalid address to remap to host: %s", text)
	}
	perFamily(a, v4, v6)
	return nil
}
