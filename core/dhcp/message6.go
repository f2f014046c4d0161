package dhcp

import (
	"encoding/binary"
	"time"

	"github.com/pasta-net/pasta/core/packet"
)

// Message types (RFC 8415 section 7.3).
const (
	typeSolicit     = 1
	typeAdvertise   = 2
	typeRequest6    = 3
	typeConfirm     = 4
	typeRenew       = 5
	typeRebind      = 6
	typeReply       = 7
	typeInfoRequest = 11
)

// Options (RFC 8415 section 21 and those named).
const (
	opt6ClientID = 1
	opt6ServerID = 2
	opt6IANA     = 3
	opt6IATA     = 4
	opt6IAAddr   = 5
	opt6Status   = 13
	opt6DNS      = 23 // RFC 3646
	opt6Search   = 24 // RFC 3646
	opt6FQDN     = 39 // RFC 4704
)

// Lengths in bytes.
const (
	header6     = 4 // message type and transaction ID
	optHeader6  = 4 // code and length
	iaNALen     = 12
	iaTALen     = 4
	iaAddrLen   = 24
	maxClientID = 128
)

// request6 is what we need to know of a client's message; its slices point
// into the message.
type request6 struct {
	msgType  byte
	xid      [3]byte
	clientID []byte
	serverID []byte // nil: none
	iaNA     []byte // IAID of the first IA_NA; nil: none
	hasIA    bool   // any identity association
	foreign  ia6    // the first one with an address other than the guest's
}

// ia6 names an identity association.
type ia6 struct {
	code uint16 // opt6IANA or opt6IATA; 0: none
	iaid []byte
}

// parse reads a message. guest is the address that we assign.
func (r *request6) parse(b []byte, guest packet.Addr) bool {
	if len(b) < header6 {
		return false
	}
	*r = request6{msgType: b[0], xid: [3]byte(b[1:])}
	for b = b[header6:]; len(b) > 0; {
		code, body, rest, ok := nextOption6(b)
		if !ok || !r.option(code, body, guest) {
			return false
		}
		b = rest
	}
	return len(r.clientID) > 0 && len(r.clientID) <= maxClientID
}

// nextOption6 splits the first option off b (RFC 8415 section 21.1).
func nextOption6(b []byte) (code uint16, body, rest []byte, ok bool) {
	if len(b) < optHeader6 {
		return 0, nil, nil, false
	}
	n := optHeader6 + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return 0, nil, nil, false
	}
	return binary.BigEndian.Uint16(b), b[optHeader6:n:n], b[n:], true
}

func (r *request6) option(code uint16, body []byte, guest packet.Addr) bool {
	switch code {
	case opt6ClientID:
		r.clientID = body
	case opt6ServerID:
		r.serverID = body
	case opt6IANA:
		return r.association(code, body, iaNALen, guest)
	case opt6IATA:
		return r.association(code, body, iaTALen, guest)
	}
	return true
}

// association notes an IA_NA or IA_TA, whose own options start at headerLen.
func (r *request6) association(code uint16, body []byte, headerLen int, guest packet.Addr) bool {
	if len(body) < headerLen {
		return false
	}
	iaid := body[:4]
	r.hasIA = true
	if code == opt6IANA && r.iaNA == nil {
		r.iaNA = iaid
	}
	for b := body[headerLen:]; len(b) > 0; {
		code6, addr, rest, ok := nextOption6(b)
		if !ok || code6 == opt6IAAddr && len(addr) < iaAddrLen {
			return false
		}
		if code6 == opt6IAAddr && packet.Addr(addr[:16]) != guest && r.foreign.code == 0 {
			r.foreign = ia6{code, iaid}
		}
		b = rest
	}
	return true
}

// makeDUID makes a DUID-LLT (RFC 8415 section 11.2): link-layer address and time
// of its making, in seconds since 2000.
func makeDUID(mac packet.MAC, now time.Time) []byte {
	const duidLLT = 1
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	b := binary.BigEndian.AppendUint32(nil, duidLLT<<16|htypeEthernet)
	b = binary.BigEndian.AppendUint32(b, uint32(now.Sub(epoch)/time.Second))
	return append(b, mac[:]...)
}
