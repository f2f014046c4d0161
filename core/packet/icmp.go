package packet

import "encoding/binary"

// ICMPLen is the length of the header that all messages used here have, of both
// versions: type, code, checksum and four bytes that depend on the type.
// ICMPCsumOff is where the checksum stands.
const (
	ICMPLen     = 8
	ICMPCsumOff = 2
)

// ICMP types and codes for IPv4 (RFC 792, RFC 1191).
const (
	ICMPEchoReply    = 0
	ICMPUnreachable  = 3
	ICMPEchoRequest  = 8
	ICMPTimeExceeded = 11

	ICMPCodeNet        = 0
	ICMPCodeHost       = 1
	ICMPCodePort       = 3
	ICMPCodeFragNeeded = 4
	ICMPCodeAdmin      = 13 // RFC 1812
)

// ICMPv6 types and codes (RFC 4443, RFC 4861).
const (
	ICMPv6Unreachable  = 1
	ICMPv6TooBig       = 2
	ICMPv6TimeExceeded = 3
	ICMPv6EchoRequest  = 128
	ICMPv6EchoReply    = 129

	ICMPv6RouterSolicit   = 133
	ICMPv6RouterAdvert    = 134
	ICMPv6NeighborSolicit = 135
	ICMPv6NeighborAdvert  = 136
	ICMPv6Redirect        = 137

	ICMPv6CodeNoRoute = 0
	ICMPv6CodeAdmin   = 1
	ICMPv6CodeAddr    = 3
	ICMPv6CodePort    = 4
)

// ICMPCodeReassembly is the code of "time exceeded", in both versions, for a packet of
// which not all fragments came.
const ICMPCodeReassembly = 1

// ICMP is a view of an ICMP or ICMPv6 message.
type ICMP []byte

// ParseICMP checks the length of b, the transport part of a packet. The
// checksum is the link's business.
func ParseICMP(b []byte) (ICMP, bool) { return ICMP(b), len(b) >= ICMPLen }

// Type is the message type, from a number space of its own for each IP version.
func (m ICMP) Type() uint8 { return m[0] }

// Code refines the type.
func (m ICMP) Code() uint8 { return m[1] }

// ID is the identifier of an echo message.
func (m ICMP) ID() uint16 { return binary.BigEndian.Uint16(m[4:]) }

// Seq is the sequence number of an echo message.
func (m ICMP) Seq() uint16 { return binary.BigEndian.Uint16(m[6:]) }

// Payload is what follows the first 8 bytes.
func (m ICMP) Payload() []byte { return m[ICMPLen:] }

// PutICMP writes a header with zero checksum and returns its length. rest is what
// stands in bytes 4 to 7: identifier and sequence number, an MTU, or zero.
func PutICMP(b []byte, typ, code uint8, rest uint32) int {
	_ = b[ICMPLen-1]
	b[0], b[1], b[2], b[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(b[4:], rest)
	return ICMPLen
}

// SetICMPChecksum fills in the checksum of the ICMP message of pkt, a complete
// packet with an IP header of ipLen bytes. Only ICMPv6 covers a pseudo-header
// (RFC 4443 section 2.3).
func SetICMPChecksum(pkt []byte, ipLen int) {
	msg := pkt[ipLen:]
	binary.BigEndian.PutUint16(msg[ICMPCsumOff:], 0)
	binary.BigEndian.PutUint16(msg[ICMPCsumOff:], ICMPChecksum(pkt, msg, nil))
}

// ICMPChecksum is the checksum of a message given in two parts, header of even
// length with a zero checksum field and payload, behind the IP header at the
// start of ip.
func ICMPChecksum(ip, header, payload []byte) uint16 {
	sum := uint16(0)
	if ip[0]>>4 == 6 {
		sum = PseudoSum(ip, ProtoICMPv6, len(header)+len(payload))
	}
	return ^SumParts(header, payload, sum)
}
