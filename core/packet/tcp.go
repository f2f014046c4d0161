package packet

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/seqnum"
)

// TCP header constants (RFC 9293 section 3.1).
const (
	TCPLen     = 20 // header without options
	TCPMaxLen  = 60
	TCPCsumOff = 16

	FIN = 0x01
	SYN = 0x02
	RST = 0x04
	PSH = 0x08
	ACK = 0x10
	URG = 0x20
)

const (
	tcpOptEnd    = 0
	tcpOptNop    = 1
	tcpOptMSS    = 2
	tcpOptWScale = 3
)

// TCP is a view of a TCP header, options and payload.
type TCP []byte

// ParseTCP checks the data offset of b, the transport part of a packet.
func ParseTCP(b []byte) (TCP, bool) {
	if len(b) < TCPLen {
		return nil, false
	}
	hdrLen := int(b[12]>>4) * 4
	if hdrLen < TCPLen || hdrLen > len(b) {
		return nil, false
	}
	return TCP(b), true
}

// SrcPort is the source port.
func (t TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(t[0:]) }

// DstPort is the destination port.
func (t TCP) DstPort() uint16 { return binary.BigEndian.Uint16(t[2:]) }

// Seq is the sequence number.
func (t TCP) Seq() seqnum.Value { return seqnum.Value(binary.BigEndian.Uint32(t[4:])) }

// Ack is the acknowledgment number.
func (t TCP) Ack() seqnum.Value { return seqnum.Value(binary.BigEndian.Uint32(t[8:])) }

// HeaderLen is the length of header and options in bytes.
func (t TCP) HeaderLen() int { return int(t[12]>>4) * 4 }

// Flags are the control bits FIN to URG.
func (t TCP) Flags() uint8 { return t[13] & 0x3f }

// Window is the window field, not scaled.
func (t TCP) Window() uint16 { return binary.BigEndian.Uint16(t[14:]) }

// Payload is what follows the options.
func (t TCP) Payload() []byte { return t[t.HeaderLen():] }

// SynOptions are the options of a SYN that we use.
type SynOptions struct {
	MSS       uint16 // 536 if the option is absent (RFC 9293 section 3.7.1)
	WScale    uint8  // at most 14 (RFC 7323 section 2.3)
	HasWScale bool
}

// SynOptions reads the options of a SYN. Malformed ones end the walk.
func (t TCP) SynOptions() SynOptions {
	o := SynOptions{MSS: 536}
	b := t[TCPLen:t.HeaderLen()]
	for len(b) > 0 && b[0] != tcpOptEnd {
		if b[0] == tcpOptNop {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			break
		}
		switch {
		case b[0] == tcpOptMSS && b[1] == 4:
			o.MSS = binary.BigEndian.Uint16(b[2:])
		case b[0] == tcpOptWScale && b[1] == 3:
			o.WScale, o.HasWScale = min(b[2], 14), true
		}
		b = b[b[1]:]
	}
	return o
}

// TCPHeader says what PutTCP writes.
type TCPHeader struct {
	SrcPort, DstPort uint16
	Seq, Ack         seqnum.Value
	Flags            uint8
	Window           uint16
	// MSS, if not zero, adds the MSS option, and WScale, if not negative, the
	// window scale option. For SYNs only.
	MSS    uint16
	WScale int8
}

// PutTCP writes a TCP header with zero checksum and urgent pointer and returns its
// length: 20, or up to 28 with options.
func PutTCP(b []byte, h *TCPHeader) int {
	_ = b[TCPLen-1]
	binary.BigEndian.PutUint16(b[0:], h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint32(b[4:], uint32(h.Seq))
	binary.BigEndian.PutUint32(b[8:], uint32(h.Ack))
	binary.BigEndian.PutUint16(b[14:], h.Window)
	binary.BigEndian.PutUint32(b[16:], 0)
	n := TCPLen
	if h.MSS != 0 {
		b[n], b[n+1] = tcpOptMSS, 4
		binary.BigEndian.PutUint16(b[n+2:], h.MSS)
		n += 4
		if h.WScale >= 0 {
			b[n], b[n+1], b[n+2], b[n+3] = tcpOptNop, tcpOptWScale, 3, byte(h.WScale)
			n += 4
		}
	}
	b[12], b[13] = byte(n/4)<<4, h.Flags
	return n
}
