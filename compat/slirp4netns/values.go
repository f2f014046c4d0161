package slirp4netns

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
)

// Prefix lengths: the addresses of the plan have to fit in.
const (
	minPrefixLen = 1
	maxPrefixLen = 25
)

// parseCIDR reads the value of --cidr.
func parseCIDR(text string) (netip.Prefix, error) {
	addrText, lenText, ok := cutCIDR(text)
	if !ok {
		return netip.Prefix{}, cmdline.Errorf("invalid CIDR: %s", text)
	}
	addr, err := netip.ParseAddr(addrText)
	if err != nil {
		return netip.Prefix{}, cmdline.Errorf("invalid network address: %s", addrText)
	}
	bits, err := strconv.Atoi(lenText)
	if err != nil || bits < minPrefixLen || bits > maxPrefixLen {
		return netip.Prefix{}, cmdline.Errorf("prefix length needs to be %d-%d", minPrefixLen, maxPrefixLen)
	}
	p := netip.PrefixFrom(addr, bits)
	if p.Masked() != p {
		return netip.Prefix{}, cmdline.Text("CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24")
	}
	return p, nil
}

// cutCIDR takes a CIDR apart if it has the form that upstream accepts before it looks at
// the numbers: four of any length, and one of one or two digits.
func cutCIDR(text string) (addr, length string, ok bool) {
	addr, length, ok = strings.Cut(text, "/")
	if !ok || !isDigits(length) || len(length) > 2 {
		return "", "", false
	}
	numbers := strings.Split(addr, ".")
	notNumber := func(s string) bool { return !isDigits(s) }
	return addr, length, len(numbers) == 4 && !slices.ContainsFunc(numbers, notNumber)
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// number reads a decimal number of the command line, as strtol(3) does: blanks in front
// of it do not matter ("$(ps -o pid= ...)"). What exceeds an int of C is no number, where
// upstream takes the lower bits for one.
func number(text string) (n int, ok bool) {
	v, err := strconv.ParseInt(strings.TrimLeft(text, " \t\n\v\f\r"), 10, 32)
	return int(v), err == nil
}

// parseMAC reads the value of --macaddress, with colons or hyphens.
func parseMAC(text string) (*[6]byte, error) {
	const hint = "macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':')."
	octets := strings.Split(strings.ReplaceAll(strings.TrimSpace(text), "-", ":"), ":")
	var mac [6]byte
	valid := len(octets) >= len(mac)
	for i, octet := range octets[:min(len(octets), len(mac))] {
		if len(octet) == 1 {
			octet = "0" + octet
		}
		b, err := hex.DecodeString(octet)
		if err != nil || len(b) != 1 {
			valid = false
			break
		}
		mac[i] = b[0]
	}
	switch {
	case !valid:
		return nil, unterminated(fmt.Sprintf("\"%s\" is an invalid MAC address.\n%s", text, hint))
	case len(octets) > len(mac):
		return nil, unterminated(fmt.Sprintf("\"%s\" is an invalid MAC address.  Is it too long?\n%s", text, hint))
	}
	return &mac, nil
}

// outboundAddr reads an address or the name of an interface of the host, whose first
// address of the family it is then.
func outboundAddr(text string, v6 bool) (netip.Addr, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() == v6 && a.Zone() == "" && !a.Is4In6() {
		return a, nil
	}
	ifi, err := net.InterfaceByName(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find interface %q: %w", text, err)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list addresses of %q: %w", text, err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is6() == v6 && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("interface %q has no such address", text)
}

// takeValues reads the values that are looked at after the operands.
func (s *settings) takeValues() (err error) {
	prefix, err := parseCIDR(s.cidr)
	if err != nil {
		return err
	}
	s.network = network{prefix}
	// The words, down to the slip of the pen, are upstream's.
	for i, words := range []string{
		"outbound-addr has to be valid ipv4 address or interface name.",
		"outbound-addr has to be valid ipv4 address or iterface name.",
	} {
		w := &s.outbound[i]
		if !w.given {
			continue
		}
		if w.addr, err = outboundAddr(w.text, i == 1); err != nil {
			return unterminated(words)
		}
	}
	if s.macGiven {
		s.macAddress, err = parseMAC(s.mac)
	}
	return err
}
