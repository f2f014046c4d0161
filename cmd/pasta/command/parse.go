package command

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/compat/cmdline"
)

// parseInteger parses a number that is not negative, in C notation: decimal, 0x
// for hexadecimal, leading 0 for octal.
func parseInteger(text string) (int, error) {
	base, digits := 10, text
	switch {
	case strings.HasPrefix(text, "0x"), strings.HasPrefix(text, "0X"):
		base, digits = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base, digits = 8, text[1:]
	}
	n, err := strconv.ParseUint(digits, base, strconv.IntSize-1)
	return int(n), err
}

// parseMAC parses six two-digit hexadecimal octets separated by colons.
func parseMAC(text string) (mac [6]byte, err error) {
	octets := strings.Split(text, ":")
	if len(octets) != len(mac) {
		return mac, cmdline.Errorf("Invalid MAC address: %s", text)
	}
	for i, octet := range octets {
		b, err := hex.DecodeString(octet)
		if err != nil || len(b) != 1 {
			return mac, cmdline.Errorf("Invalid MAC address: %s", text)
		}
		mac[i] = b[0]
	}
	return mac, nil
}

// parsePrefixLen parses an IPv4 mask in dotted form, whose ones must be
// contiguous, or its length.
func parsePrefixLen(text string) (int, error) {
	if mask, err := netip.ParseAddr(text); err == nil && mask.Is4() {
		return maskLen(mask.As4())
	}
	bits, err := strconv.ParseUint(text, 10, 8)
	if err != nil || bits > 32 {
		return 0, fmt.Errorf("parse prefix length %q", text)
	}
	return int(bits), nil
}

func maskLen(mask [4]byte) (int, error) {
	bits := fmt.Sprintf("%08b%08b%08b%08b", mask[0], mask[1], mask[2], mask[3])
	ones := strings.TrimRight(bits, "0")
	if strings.Contains(ones, "0") {
		return 0, fmt.Errorf("mask %s is not contiguous", netip.AddrFrom4(mask))
	}
	return len(ones), nil
}

// refuse says which special addresses an option does not take.
type refuse struct {
	loopback, loopback6, multicast, broadcast bool
}

// parseAddr parses an address without zone. The unspecified address and
// IPv4-mapped ones are never accepted, others as r says.
func parseAddr(text string, r refuse) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil, a.Zone() != "", a.Is4In6(), a.IsUnspecified():
	case r.loopback && a.IsLoopback():
	case r.loopback6 && a.Is6() && a.IsLoopback():
	case r.multicast && a.IsMulticast():
	case r.broadcast && a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
	default:
		return a, true
	}
	return netip.Addr{}, false
}

// perFamily stores a in the slot of its family.
func perFamily(a netip.Addr, v4, v6 *netip.Addr) {
	if a.Is4() {
		*v4 = a
	} else {
		*v6 = a
	}
}

// validDomain tells whether name can be encoded as a domain name: labels of 1 to
// 63 bytes, 253 bytes in all, the final dot optional (RFC 1035 section 2.3.4).
func validDomain(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}
