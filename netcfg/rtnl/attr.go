package rtnl

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// errMalformed is a message that does not hold what its lengths say.
var errMalformed = errors.New("malformed netlink message")

// attrTypeMask strips the nested and byte-order flags from an attribute type.
const attrTypeMask = 1<<14 - 1

// order is the byte order of netlink headers and integers.
var order = binary.NativeEndian

// Attr is a netlink attribute that is carried without being understood.
type Attr struct {
	Type uint16 `json:"type"`
	// Data is the payload as the kernel sent it, host byte order inside.
	Data []byte `json:"data"`
}

// parseAttrs calls f for every attribute in b, until f fails. Type is given
// without its flag bits; data is a part of b.
func parseAttrs(b []byte, f func(typ uint16, data []byte) error) error {
	for len(b) >= unix.SizeofRtAttr {
		attrLen := int(order.Uint16(b))
		if attrLen < unix.SizeofRtAttr || attrLen > len(b) {
			return errMalformed
		}
		if err := f(order.Uint16(b[2:])&attrTypeMask, b[unix.SizeofRtAttr:attrLen]); err != nil {
			return err
		}
		b = b[min(align(attrLen), len(b)):]
	}
	return nil
}

// align rounds n up to the alignment of messages and attributes (4 bytes).
func align(n int) int { return (n + unix.RTA_ALIGNTO - 1) &^ (unix.RTA_ALIGNTO - 1) }

// appendAttr appends one attribute with its padding.
func appendAttr(b []byte, typ uint16, data []byte) []byte {
	b = order.AppendUint16(b, uint16(unix.SizeofRtAttr+len(data)))
	b = order.AppendUint16(b, typ)
	b = append(b, data...)
	return append(b, make([]byte, align(len(data))-len(data))...)
}

// appendUint32 appends an attribute that holds one integer.
func appendUint32(b []byte, typ uint16, v uint32) []byte {
	return appendAttr(b, typ, order.AppendUint32(nil, v))
}

// appendString appends an attribute that holds a zero-terminated string.
func appendString(b []byte, typ uint16, s string) []byte {
	return appendAttr(b, typ, append([]byte(s), 0))
}

// uint32Of reads an integer attribute.
func uint32Of(data []byte) (uint32, error) {
	if len(data) < 4 {
		return 0, errMalformed
	}
	return order.Uint32(data), nil
}

// addrOf reads an IPv4 or IPv6 address, told apart by its length.
func addrOf(data []byte) (netip.Addr, error) {
	a, ok := netip.AddrFromSlice(data)
	if !ok {
		return netip.Addr{}, errMalformed
	}
	return a, nil
}

// prefixOf combines an address attribute with the length from a header.
func prefixOf(data []byte, bits uint8) (netip.Prefix, error) {
	a, err := addrOf(data)
	if err != nil {
		return netip.Prefix{}, err
	}
	p := netip.PrefixFrom(a, int(bits))
	if !p.IsValid() {
		return netip.Prefix{}, errMalformed
	}
	return p, nil
}

// stringOf reads a string attribute without its terminating zero.
func stringOf(data []byte) string { return unix.ByteSliceToString(data) }
