package portfwd

import (
	"encoding/binary"
	"math/bits"
)

// A filter is a program that the kernel runs for each socket, before it writes what an
// answer tells about it, which is nine tenths of the cost of a list. Instructions are
// struct inet_diag_bc_op (include/uapi/linux/inet_diag.h), each followed by one that
// holds the port to compare with. A jump to the end of the program accepts, one beyond
// it rejects (inet_diag_bc_run).
const (
	diagBytecode = 1 // INET_DIAG_REQ_BYTECODE
	opSourceGE   = 2 // INET_DIAG_BC_S_GE
	opSourceLE   = 3 // INET_DIAG_BC_S_LE
	opLen        = 4
	compareLen   = 2 * opLen
	attrLen      = 4 // struct nlattr
	// maxRanges bounds the program: what does not fit is not filtered.
	maxRanges    = 64
	maxFilterLen = attrLen + maxRanges*2*compareLen
)

// putFilter writes an attribute that selects the ports in s, or some more, and returns
// its length. s must not be empty.
func putFilter(b []byte, s *PortSet) int {
	var ranges [maxRanges]Range
	n := s.ranges(ranges[:])
	length := attrLen + n*2*compareLen
	ne := binary.NativeEndian
	ne.PutUint16(b[0:], uint16(length))
	ne.PutUint16(b[2:], diagBytecode)
	at := attrLen
	for i, r := range ranges[:n] {
		at += putCompare(b[at:], opSourceGE, r.First, length-at+opLen)
		if i < n-1 {
			at += putCompare(b[at:], opSourceGE, r.Last+1, length-at)
		} else {
			at += putCompare(b[at:], opSourceLE, r.Last, length-at+opLen)
		}
	}
	return length
}

// putCompare writes a comparison, which goes on behind itself if it holds and otherwise
// jumps by no bytes, and returns its length.
func putCompare(b []byte, op uint8, port uint16, no int) int {
	b[0], b[1] = op, compareLen
	binary.NativeEndian.PutUint16(b[2:], uint16(no))
	b[opLen], b[opLen+1] = 0, 0
	binary.NativeEndian.PutUint16(b[opLen+2:], port)
	return compareLen
}

// ranges writes the ranges that s consists of and returns their number. If there are
// too many, the last one has all further ports.
func (s *PortSet) ranges(list []Range) (n int) {
	for first := s.next(0, 0); first < len(s)*64; n++ {
		if n == len(list) {
			list[n-1].Last = ^uint16(0)
			return n
		}
		end := s.next(first, ^uint64(0))
		list[n] = Range{First: uint16(first), Last: uint16(end - 1)}
		first = s.next(end, 0)
	}
	return n
}

// next is the first port from port on that s has, with flip all ones that it does not
// have; 65536 if there is none.
func (s *PortSet) next(port int, flip uint64) int {
	for port < len(s)*64 {
		if word := (s[port/64] ^ flip) >> (port % 64); word != 0 {
			return port + bits.TrailingZeros64(word)
		}
		port = (port/64 + 1) * 64
	}
	return port
}
