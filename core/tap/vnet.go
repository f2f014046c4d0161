package tap

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/packet"
)

// VnetLen is the length of a virtio-net header without the field for merged
// buffers (virtio 1.2 section 5.1.6), all little endian:
//
//	flags u8 | gso_type u8 | hdr_len u16 | gso_size u16 | csum_start u16 | csum_offset u16
const VnetLen = 10

const (
	vnetNeedsCsum = 1
	vnetDataValid = 2

	vnetGSONone = 0
	vnetGSOTCP4 = 1
	vnetGSOTCP6 = 4
	vnetGSOUDP  = 5 // VIRTIO_NET_HDR_GSO_UDP_L4
	vnetGSOECN  = 0x80
)

// maxUDPSegments bounds what one UDP super-frame becomes. Linux makes them of at
// most 128 datagrams (UDP_MAX_SEGMENTS), other guests may of more, but 60,000 of one
// byte would keep the loop busy for 0.15 s.
const maxUDPSegments = 1024

// vnetHeader is what we write in front of a frame.
type vnetHeader struct {
	gso     packet.GSO
	gsoSize uint16
	v4      bool
	hdrLen  int // Ethernet to transport header, bytes
	// csumStart and csumOff locate the partial checksum; csumOff 0: none.
	csumStart, csumOff int
}

func (h *vnetHeader) put(b []byte) {
	clear(b[:VnetLen])
	if h.csumOff != 0 {
		b[0] = vnetNeedsCsum
		binary.LittleEndian.PutUint16(b[6:], uint16(h.csumStart))
		binary.LittleEndian.PutUint16(b[8:], uint16(h.csumOff))
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(h.hdrLen))
	switch h.gso {
	case packet.GSONone:
		return
	case packet.GSOUDP:
		b[1] = vnetGSOUDP
	case packet.GSOTCP:
		b[1] = vnetGSOTCP6
		if h.v4 {
			b[1] = vnetGSOTCP4
		}
	}
	binary.LittleEndian.PutUint16(b[4:], h.gsoSize)
}

// parseVnet reads the header of a frame from the guest into p, after p.Parse. It
// is hostile input: nothing in it is believed that the frame does not bear out.
func parseVnet(b []byte, p *packet.Packet) packet.Drop {
	size := binary.LittleEndian.Uint16(b[4:])
	switch b[1] &^ vnetGSOECN {
	case vnetGSONone:
	case vnetGSOTCP4, vnetGSOTCP6:
		if p.Proto != packet.ProtoTCP || size == 0 {
			return packet.DropOffload
		}
		p.GSO, p.GSOSize = packet.GSOTCP, size
	case vnetGSOUDP:
		if p.Proto != packet.ProtoUDP || size == 0 || len(p.L4)-packet.UDPLen > maxUDPSegments*int(size) {
			return packet.DropOffload
		}
		p.GSO, p.GSOSize = packet.GSOUDP, size
	default:
		return packet.DropOffload
	}
	if b[0]&vnetNeedsCsum != 0 && !partialAtL4(b, p) {
		return packet.DropOffload
	}
	// With either flag the guest's kernel vouches for the payload: it made it,
	// or checked it when it arrived from beyond (virtio 1.2 section 5.1.6.2).
	p.CsumOK = b[0]&(vnetNeedsCsum|vnetDataValid) != 0
	return packet.DropNone
}

// partialAtL4 tells whether the checksum that the guest left to us is that of the
// transport header of p. One further inside, of a packet in a tunnel, would have
// to be completed before the payload goes on; no kernel leaves that to a tap.
func partialAtL4(b []byte, p *packet.Packet) bool {
	start, off := binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint16(b[8:])
	switch p.Proto {
	case packet.ProtoTCP:
		return int(start) == p.L4Offset() && off == packet.TCPCsumOff
	case packet.ProtoUDP:
		return int(start) == p.L4Offset() && off == packet.UDPCsumOff
	}
	return true
}
