package packet

import "encoding/binary"

// fragHdrLen is the length of an IPv6 fragment header:
//
//	next header u8 | reserved u8 | offset u13, reserved u2, more u1 | identification u32
const fragHdrLen = 8

// FragmentUnit is what offsets of fragments are counted in, in bytes, and what the
// length of all but the last is a multiple of.
const FragmentUnit = 8

// Fragment is a part of a packet (RFC 791 section 3.2, RFC 8200 section 4.5).
type Fragment struct {
	ID uint32
	// Proto is what the first fragment's data starts with: the transport
	// protocol, or in IPv6 maybe another extension header.
	Proto  uint8
	Offset int    // of Data in that of the whole, in bytes
	Data   []byte // points into the frame
	More   bool   // this is not the last one
}

// Whole tells whether f is all of its packet, as in IPv6 it may be (RFC 6946).
func (f *Fragment) Whole() bool { return f.Offset == 0 && !f.More }

// End is where Data ends in the data of the whole, in bytes.
func (f *Fragment) End() int { return f.Offset + len(f.Data) }

// Fragment reads p, of which Parse gave DropFragment, into f. One that can be part of
// no valid packet gives a reason to drop it.
func (p *Packet) Fragment(f *Fragment) Drop {
	if p.EtherType == EtherTypeIP4 {
		return p.fragment4(f)
	}
	return p.fragment6(f)
}

func (p *Packet) fragment4(f *Fragment) Drop {
	word := binary.BigEndian.Uint16(p.L3[6:])
	*f = Fragment{
		ID: uint32(binary.BigEndian.Uint16(p.L3[4:])), Proto: p.Proto,
		Offset: int(word&0x1fff) * FragmentUnit, More: word&0x2000 != 0, Data: p.L4,
	}
	return f.check(len(p.L3) - len(p.L4))
}

func (p *Packet) fragment6(f *Fragment) Drop {
	b := p.L4
	if len(b) < fragHdrLen {
		return DropShort
	}
	word := binary.BigEndian.Uint16(b[2:])
	*f = Fragment{
		ID: binary.BigEndian.Uint32(b[4:]), Proto: b[0],
		Offset: int(word &^ 7), More: word&1 != 0, Data: b[fragHdrLen:],
	}
	if d := f.check(len(p.L3) - IPv6Len - len(b)); d != DropNone {
		return d
	}
	if f.Offset == 0 && f.More && f.headersCut() {
		return DropFragment
	}
	return DropNone
}

// check compares f with what a packet can be; headLen counts the bytes of header in
// front that are in the length field of the whole.
func (f *Fragment) check(headLen int) Drop {
	switch {
	case len(f.Data) == 0 && !f.Whole():
		return DropFragment
	case f.More && len(f.Data)%FragmentUnit != 0:
		return DropFragment
	case headLen+f.End() > maxIPLen: // the "ping of death"
		return DropFragment
	}
	return DropNone
}

// PutFragment turns the header at the start of b, which PutIP made, into that of the
// fragment f with dataLen bytes of data; f.Data does not matter. It returns the length
// of what has to stand in front of the data: in IPv6 a fragment header comes behind.
// Called again for further fragments, it only changes what differs.
func PutFragment(b []byte, f *Fragment, dataLen int) int {
	if b[0]>>4 == 4 {
		word := uint16(f.Offset / FragmentUnit)
		if f.More {
			word |= 0x2000
		}
		binary.BigEndian.PutUint16(b[4:], uint16(f.ID))
		binary.BigEndian.PutUint16(b[6:], word)
		SetIPPayloadLen(b, dataLen)
		return IPv4Len
	}
	word := uint16(f.Offset)
	if f.More {
		word |= 1
	}
	b[6] = protoFragment
	SetIPPayloadLen(b, fragHdrLen+dataLen)
	h := b[IPv6Len:]
	h[0], h[1] = f.Proto, 0
	binary.BigEndian.PutUint16(h[2:], word)
	binary.BigEndian.PutUint32(h[4:], f.ID)
	return IPv6Len + fragHdrLen
}

// FragmentRoom is how much data a fragment may have that others follow, in a packet of
// at most mtu bytes whose IP header alone is ipLen bytes: at least one unit.
func FragmentRoom(mtu, ipLen int) int {
	room := mtu - ipLen
	if ipLen == IPv6Len {
		room -= fragHdrLen
	}
	return max(room-room%FragmentUnit, FragmentUnit)
}

// headersCut tells whether a first fragment lacks a part of the headers, up to and
// including that of the transport. Such are dropped in IPv6 (RFC 7112 section 5);
// IPv4 allows them.
func (f *Fragment) headersCut() bool {
	var p Packet
	if p.skipExtensions(f.Data, f.Proto) == DropShort {
		return true
	}
	switch p.Proto {
	case ProtoTCP:
		return len(p.L4) < TCPLen
	case ProtoUDP:
		return len(p.L4) < UDPLen
	case ProtoICMPv6:
		return len(p.L4) < ICMPLen
	}
	return false
}
