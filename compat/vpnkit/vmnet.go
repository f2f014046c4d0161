package vpnkit

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/pasta-net/pasta/core/packet"
)

// Lengths of the messages of the VMNET protocol in bytes. All are fixed.
const (
	initLen     = 49
	commandLen  = 41
	responseLen = 258
	uuidTextLen = 36
)

const (
	magic           = "VMN3T"
	protocolVersion = 22
	commitLen       = 40
)

// Commands of clients. Bind is for macOS, where privileged ports need help.
const (
	commandEthernet  = 1
	commandBind      = 6
	commandPreferred = 8
)

// Kinds of responses.
const (
	responseVif        = 1
	responseDisconnect = 2
)

// maxReason is the longest reason of a disconnect, in bytes.
const maxReason = 255

// initMessage is the message that opens the connection, from either side:
//
//	magic 5 | version u32 | commit 40
func initMessage() []byte {
	b := append(make([]byte, 0, initLen), magic...)
	b = binary.LittleEndian.AppendUint32(b, protocolVersion)
	return append(b, strings.Repeat("0123456789", commitLen/10)...)
}

// initVersion is the version in an opening message. Nothing else in it counts.
func initVersion(b []byte) uint32 { return binary.LittleEndian.Uint32(b[len(magic):]) }

// uuid names a guest. Zero: one is to be made up.
type uuid [16]byte

// uuidGroups are the digits between the hyphens of a UUID as text (RFC 9562 section 4).
var uuidGroups = [...]int{8, 4, 4, 4, 12}

// parseUUID reads a UUID as text, in upper or lower case, or 36 zero bytes for none.
func parseUUID(text []byte) (u uuid, ok bool) {
	if string(text) == strings.Repeat("\x00", uuidTextLen) {
		return u, true
	}
	groups := strings.Split(string(text), "-")
	if len(groups) != len(uuidGroups) {
		return u, false
	}
	for i, g := range groups {
		if len(g) != uuidGroups[i] {
			return u, false
		}
	}
	b, err := hex.DecodeString(strings.Join(groups, ""))
	if err != nil {
		return u, false
	}
	return uuid(b), true
}

// command asks for a link.
type command struct {
	uuid uuid
	// want is the address that the client would like to have; invalid: any.
	want netip.Addr
}

// parseCommand reads a command of kind Ethernet or Preferred:
//
//	kind u8 | UUID as text 36 | address u32, little endian
func parseCommand(b []byte) (c command, ok bool) {
	if len(b) != commandLen || b[0] != commandEthernet && b[0] != commandPreferred {
		return c, false
	}
	if c.uuid, ok = parseUUID(b[1 : 1+uuidTextLen]); !ok {
		return c, false
	}
	if b[0] == commandPreferred {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], binary.LittleEndian.Uint32(b[1+uuidTextLen:]))
		c.want = netip.AddrFrom4(a)
	}
	return c, true
}

// vifResponse grants a link:
//
//	kind u8 | MTU u16 | largest frame u16 | MAC 6 | padding
func vifResponse(mtu int, mac packet.MAC) []byte {
	const headroom = 50
	b := make([]byte, 0, responseLen)
	b = append(b, responseVif)
	b = binary.LittleEndian.AppendUint16(b, uint16(mtu))
	b = binary.LittleEndian.AppendUint16(b, uint16(min(mtu+headroom, 65535)))
	b = append(b, mac[:]...)
	return b[:responseLen]
}

// disconnectResponse refuses a link:
//
//	kind u8 | length u8 | reason | padding
func disconnectResponse(reason string) []byte {
	reason = reason[:min(len(reason), maxReason)]
	b := append(make([]byte, 0, responseLen), responseDisconnect, byte(len(reason)))
	return append(b, reason...)[:responseLen]
}
