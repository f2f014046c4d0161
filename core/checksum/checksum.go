// Package checksum computes the Internet checksum (RFC 1071). Leaf package;
// pure functions, callable from any goroutine.
package checksum

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds b, taken as big-endian 16-bit words, to the partial sum initial. An
// odd last byte is padded with zero on the right, so only the last of several
// chained slices may have odd length. The result is folded to 16 bits but not
// complemented.
func Sum(b []byte, initial uint16) uint16 {
	var acc, carry uint64
	// One's complement addition does not depend on byte order as long as all
	// words are read alike (RFC 1071 section 2 B), so 64 bits go at a time.
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[24:]), carry)
		acc, _ = bits.Add64(acc, 0, carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc += carry
		b = b[8:]
	}
	var tail [8]byte
	if len(b) > 0 {
		copy(tail[:], b)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(tail[:]), 0)
		acc += carry
	}
	acc, carry = bits.Add64(acc, uint64(initial), 0)
	return fold(acc + carry)
}

// fold reduces a 64-bit one's complement sum to 16 bits.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc)
}

// combine adds two folded partial sums.
func combine(a, b uint16) uint16 {
	v := uint32(a) + uint32(b)
	return uint16(v>>16 + v&0xffff)
}

// Pseudo is the folded sum of the IPv4 or IPv6 pseudo-header (RFC 9293 section
// 3.1, RFC 8200 section 8.1). src and dst are 4 or 16 bytes each, l4Len is
// the length of transport header plus payload in bytes.
func Pseudo(src, dst []byte, proto uint8, l4Len int) uint16 {
	sum := Sum(dst, Sum(src, 0))
	sum = combine(sum, uint16(proto))
	return combine(sum, fold(uint64(l4Len)))
}
