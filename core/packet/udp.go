package packet

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/checksum"
)

// UDPLen is the length of a UDP header (RFC 768); UDPCsumOff is where its checksum stands.
const (
	UDPLen     = 8
	UDPCsumOff = 6
)

// UDP is a view of a UDP header and its payload.
type UDP []byte

// ParseUDP checks b, the transport part of a packet, and cuts it to the
// length field.
func ParseUDP(b []byte) (UDP, bool) {
	if len(b) < UDPLen {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b[4:6]))
	if n < UDPLen || n > len(b) {
		return nil, false
	}
	return UDP(b[:n:n]), true
}

// SrcPort is the source port.
func (u UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(u[0:]) }

// DstPort is the destination port.
func (u UDP) DstPort() uint16 { return binary.BigEndian.Uint16(u[2:]) }

// Payload is what follows the header.
func (u UDP) Payload() []byte { return u[UDPLen:] }

// PutUDP writes a UDP header with zero checksum for a payload of payloadLen
// bytes and returns its length.
func PutUDP(b []byte, srcPort, dstPort uint16, payloadLen int) int {
	_ = b[UDPLen-1]
	binary.BigEndian.PutUint16(b[0:], srcPort)
	binary.BigEndian.PutUint16(b[2:], dstPort)
	binary.BigEndian.PutUint16(b[4:], uint16(UDPLen+payloadLen))
	b[6], b[7] = 0, 0
	return UDPLen
}

// PutDatagram writes IP and UDP headers, checksums included, in front of a payload of
// payloadLen bytes that stands at its place in b already, and returns the length of the
// packet. Protocol, TTL and length in h are filled in.
func PutDatagram(b []byte, h *IPHeader, srcPort, dstPort uint16, payloadLen int) int {
	h.Proto, h.TTL, h.PayloadLen = ProtoUDP, DefaultTTL, UDPLen+payloadLen
	n := PutIP(b, h)
	pkt := b[:n+h.PayloadLen]
	u := pkt[n:]
	PutUDP(u, srcPort, dstPort, payloadLen)
	sum := ^checksum.Sum(u, PseudoSum(pkt, ProtoUDP, len(u)))
	if sum == 0 {
		sum = 0xffff // zero means "none" (RFC 768)
	}
	binary.BigEndian.PutUint16(u[UDPCsumOff:], sum)
	return len(pkt)
}
