package coretest

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
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

// assembly puts fragments together that we sent, which is in order.
type assembly struct {
	head packet.Packet // the last one
	packet.Fragment
	data  []byte
	parts []int
	more  bool
}

// takes adds a frame, of a device with features feat, if it is a fragment.
func (a *assembly) takes(t testing.TB, feat tap.Features, b []byte) bool {
	t.Helper()
	if feat.VnetHdr {
		if v := parseVnet(b); v.Flags != 0 || v.GSOType != 0 {
			return false
		}
		b = b[tap.VnetLen:]
	}
	if a.head.Parse(b) != packet.DropFragment {
		return false
	}
	id := a.ID
	if d := a.head.Fragment(&a.Fragment); d != packet.DropNone || a.Offset != len(a.data) || a.Offset > 0 && a.ID != id {
		t.Fatalf("fragment of %d bytes at %d, want it at %d; %v", len(a.Data), a.Offset, len(a.data), d)
	}
	if len(b) < packet.MinFrameLen {
		t.Errorf("frame of %d bytes, want at least %d", len(b), packet.MinFrameLen)
	}
	a.data = append(a.data, a.Data...)
	a.parts = append(a.parts, len(a.head.L3))
	a.more = a.More
	return true
}

// frame is the whole packet. No part of it is left to the device.
func (a *assembly) frame(t testing.TB) *Frame {
	t.Helper()
	b := IP(a.head.Src.Netip(), a.head.Dst.Netip(), a.Proto, a.data)
	packet.PutEthernet(b, a.head.EthDst, a.head.EthSrc, a.head.EtherType)
	f := CheckFrame(t, tap.Features{}, b)
	f.Parts = a.parts
	return f
}
