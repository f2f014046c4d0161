package coretest

import (
	"encoding/binary"
	"net/netip"

	"github.com/pasta-net/pasta/core/packet"
)

// Fragment builds one fragment, whatever f says. f.Proto is the protocol of the whole.
func Fragment(src, dst netip.Addr, f *packet.Fragment) []byte {
	if src.Is6() {
		h := []byte{f.Proto, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(h[2:], uint16(f.Offset)|more(f, 1))
		binary.BigEndian.PutUint32(h[4:], f.ID)
		return IP(src, dst, 44, append(h, f.Data...))
	}
	b := IP(src, dst, f.Proto, f.Data)
	ip := b[packet.EthLen:]
	binary.BigEndian.PutUint16(ip[4:], uint16(f.ID))
	binary.BigEndian.PutUint16(ip[6:], uint16(f.Offset/packet.FragmentUnit)|more(f, 0x2000))
	return SetTTL(b, TTL) // and the checksum
}

func more(f *packet.Fragment, flag uint16) uint16 {
	if f.More {
		return flag
	}
	return 0
}

// Fragments cuts a built frame into fragments with at most size bytes of data each.
func Fragments(frame []byte, id uint32, size int) (frames [][]byte) {
	var p packet.Packet
	p.Parse(frame)
	size -= size % packet.FragmentUnit
	for at := 0; at < len(p.L4); at += size {
		end := min(at+size, len(p.L4))
		frames = append(frames, Fragment(p.Src.Netip(), p.Dst.Netip(), &packet.Fragment{
			ID: id, Proto: p.Proto, Offset: at, Data: p.L4[at:end], More: end < len(p.L4),
		}))
	}
	return frames
}
