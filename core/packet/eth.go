package packet

import "encoding/binary"

// Ethernet constants (IEEE 802.3; EtherTypes from the IANA registry).
const (
	EthLen       = 14 // bytes of an Ethernet header
	MinFrameLen  = 60 // frames are padded to this, FCS not counted
	EtherTypeIP4 = 0x0800
	EtherTypeARP = 0x0806
	EtherTypeIP6 = 0x86dd
)

// EtherTypeOf is the type of frames that carry packets of the family of a.
func EtherTypeOf(a Addr) uint16 {
	if a.Is4() {
		return EtherTypeIP4
	}
	return EtherTypeIP6
}

// PutEthernet writes an Ethernet header to b[:EthLen].
func PutEthernet(b []byte, dst, src MAC, etherType uint16) {
	_ = b[EthLen-1]
	copy(b, dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], etherType)
}
