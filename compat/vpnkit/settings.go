package vpnkit

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
)

// Bounds of --mtu in bytes: the least that IPv4 knows (RFC 791 section 3.2), and what
// the length of a frame can tell.
const (
	minMTU = 68
	maxMTU = config.MaxMTU
)

// settings are what the command line asks for.
type settings struct {
	ethernet string
	backlog  int
	debug    bool
	network  network
	names    names
	domain   string
	dhcpPath string
	dhcp     dhcpFile
}

// newSettings are the defaults.
func newSettings() *settings {
	addr := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, 65, last}) }
	return &settings{
		backlog: 32,
		network: network{
			mtu: 1500, gateway: addr(1), host: addr(2), lowest: addr(3), highest: addr(254),
			serverMAC: packet.MAC{0xf6, 0x16, 0x36, 0xbc, 0xf9, 0xc6},
		},
		names: names{
			host: []string{"host.internal"}, gateway: []string{"gateway.internal"}, vm: []string{"vm.internal"},
			hostsFile: "/etc/hosts",
		},
		domain: "localdomain",
	}
}

// finish checks what concerns several options, and reads files.
func (s *settings) finish() (err error) {
	if err := s.network.check(); err != nil {
		return err
	}
	s.dhcp, err = readDHCP(s.dhcpPath)
	if s.dhcp.DomainName != "" {
		s.domain = s.dhcp.DomainName
	}
	return err
}

// config is the run configuration for one guest; see network.config.
func (s *settings) config(g guest, resolver netip.Addr) config.Config {
	c := s.network.config(g, resolver)
	c.Names = s.names.forGuest(&s.network, g)
	c.Link.Domain, c.Link.Search = s.domain, s.dhcp.SearchDomains
	return c
}

// integer sets a number from least to most.
func integer(target *int, least, most int) func(string) error {
	return func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return fmt.Errorf("not a number from %d to %d", least, most)
		}
		*target = n
		return nil
	}
}

// address sets an IPv4 address. none: 0.0.0.0 is allowed and means that there is none.
func address(target *netip.Addr, none bool) func(string) error {
	return func(text string) error {
		a, err := netip.ParseAddr(text)
		switch {
		case err == nil && none && a == netip.IPv4Unspecified():
			a = netip.Addr{}
		case err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback():
			return errors.New("not an IPv4 address for a host")
		}
		*target = a
		return nil
	}
}

// hardware sets the MAC address of a station.
func hardware(target *packet.MAC) func(string) error {
	return func(text string) error {
		mac, err := net.ParseMAC(text)
		if err != nil || len(mac) != len(target) || !packet.MAC(mac).IsUnicast() {
			return errors.New("not the MAC address of a station")
		}
		*target = packet.MAC(mac)
		return nil
	}
}

// list sets names that are separated by commas.
func list(target *[]string) func(string) error {
	return func(text string) error {
		*target = nil
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				*target = append(*target, name)
			}
		}
		return nil
	}
}
