package dhcp

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/packet"
)

// Offsets in a message (RFC 2131 section 2). All of it up to the cookie is fixed.
const (
	offOp      = 0
	offHtype   = 1
	offHlen    = 2
	offSecs    = 8
	offFlags   = 10
	offCiaddr  = 12
	offYiaddr  = 16
	offSiaddr  = 20
	offChaddr  = 28
	offSname   = 44 // and then file
	offCookie  = 236
	offOptions = 240
)

const (
	bootRequest   = 1
	bootReply     = 2
	htypeEthernet = 1
	magicCookie   = 0x63825363 // RFC 2132 section 2
	broadcastFlag = 0x8000
)

// Message types (RFC 2132 section 9.6).
const (
	typeDiscover = 1
	typeOffer    = 2
	typeRequest  = 3
	typeDecline  = 4
	typeACK      = 5
	typeNAK      = 6
	typeRelease  = 7
)

// request4 is what we need to know of a client's message; its slices point
// into the message.
type request4 struct {
	header  []byte // fixed part, cookie not included
	hasType bool   // false: BOOTP
	msgType byte
	rapid   bool   // rapid commit (RFC 4039) is wanted
	params  []byte // parameter request list; nil: none
	maxLen  int    // longest datagram that the client takes; 0: it does not say
	// wanted is the address asked for, server the one chosen; nil: none.
	wanted, server []byte
}

// parse reads a BOOTREQUEST for Ethernet. A message whose vendor area is not in
// the format of RFC 2132 is BOOTP without options.
func (r *request4) parse(b []byte) bool {
	if len(b) < offCookie || b[offOp] != bootRequest || b[offHtype] != htypeEthernet || b[offHlen] != 6 {
		return false
	}
	*r = request4{header: b[:offCookie]}
	if len(b) < offOptions || binary.BigEndian.Uint32(b[offCookie:]) != magicCookie {
		return true
	}
	return r.parseOptions(b[offOptions:])
}

// parseOptions walks the options; a missing end marker is forgiven, an option
// that is cut is not.
func (r *request4) parseOptions(b []byte) bool {
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			return false
		}
		r.option(b[0], b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
	return true
}

func (r *request4) option(code byte, value []byte) {
	switch {
	case code == optMessageType && len(value) == 1:
		r.hasType, r.msgType = true, value[0]
	case code == optParameters:
		r.params = value
	case code == optMaxLen && len(value) == 2:
		r.maxLen = int(binary.BigEndian.Uint16(value))
	case code == optRapidCommit:
		r.rapid = true
	case code == optWanted && len(value) == 4:
		r.wanted = value
	case code == optServerID && len(value) == 4:
		r.server = value
	}
}

func (r *request4) broadcast() bool {
	return binary.BigEndian.Uint16(r.header[offFlags:])&broadcastFlag != 0
}

// address is what the client asks for, or has already; the zero Addr: any.
func (r *request4) address() packet.Addr {
	b := r.header[offCiaddr:offYiaddr]
	if r.wanted != nil {
		b = r.wanted
	}
	if a := packet.AddrFrom4([4]byte(b)); !a.IsUnspecified() {
		return a
	}
	return packet.Addr{}
}

func (r *request4) clientMAC() packet.MAC { return packet.MAC(r.header[offChaddr:]) }
