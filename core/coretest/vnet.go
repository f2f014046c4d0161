package coretest

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/tap"
)

// Values of a virtio-net header (virtio 1.2 section 5.1.6), written down once
// more so that tests do not share a mistake with the code.
const (
	NeedsCsum = 1

	GSOTCP4 = 1
	GSOTCP6 = 4
	GSOUDP  = 5
)

// Vnet is a virtio-net header.
type Vnet struct {
	Flags, GSOType    uint8
	HdrLen, GSOSize   uint16 // bytes
	CsumStart, CsumAt uint16 // bytes from the start of the frame, and from there
}

func (v Vnet) bytes() (b [tap.VnetLen]byte) {
	b[0], b[1] = v.Flags, v.GSOType
	binary.LittleEndian.PutUint16(b[2:], v.HdrLen)
	binary.LittleEndian.PutUint16(b[4:], v.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], v.CsumStart)
	binary.LittleEndian.PutUint16(b[8:], v.CsumAt)
	return b
}

func parseVnet(b []byte) Vnet {
	return Vnet{
		Flags: b[0], GSOType: b[1],
		HdrLen:    binary.LittleEndian.Uint16(b[2:]),
		GSOSize:   binary.LittleEndian.Uint16(b[4:]),
		CsumStart: binary.LittleEndian.Uint16(b[6:]),
		CsumAt:    binary.LittleEndian.Uint16(b[8:]),
	}
}
