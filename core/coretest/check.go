package coretest

import (
	"encoding/binary"
	"testing"

	"github.com/pasta-net/pasta/core/checksum"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// Frame is one frame that the guest was sent, taken apart. A partial checksum
// has been completed, as the guest's kernel would take it for granted.
type Frame struct {
	packet.Packet
	Vnet Vnet
	Raw  []byte // from the Ethernet header on
	// Parts are the lengths of the fragments that it came in, as packets, in bytes;
	// nil: it came whole.
	Parts []int
}

// CheckFrame takes apart what a device with features feat was given to send and
// fails the test if a guest would not accept it: lengths, padding, checksums,
// virtio-net header.
func CheckFrame(t testing.TB, feat tap.Features, b []byte) *Frame {
	t.Helper()
	f := &Frame{Raw: b}
	if feat.VnetHdr {
		f.Vnet, f.Raw = parseVnet(b), b[tap.VnetLen:]
	}
	if len(f.Raw) < packet.MinFrameLen {
		t.Errorf("frame of %d bytes, want at least %d", len(f.Raw), packet.MinFrameLen)
	}
	if d := f.Parse(f.Raw); d != packet.DropNone {
		t.Fatalf("our frame does not parse: %v\n% x", d, f.Raw)
	}
	if f.EtherType == packet.EtherTypeARP {
		return f
	}
	f.checkOffload(t, feat)
	f.complete()
	if f.GSO == packet.GSONone && !f.VerifyL4() {
		t.Errorf("our frame has a wrong checksum: % x", f.L3)
	}
	return f
}

func (f *Frame) checkOffload(t testing.TB, feat tap.Features) {
	t.Helper()
	if f.Vnet.Flags&NeedsCsum != 0 && !feat.Checksum {
		t.Errorf("partial checksum on a device without the feature")
	}
	granted := true
	switch f.Vnet.GSOType {
	case 0:
		return
	case GSOTCP4:
		f.GSO, granted = packet.GSOTCP, feat.TSO4
	case GSOTCP6:
		f.GSO, granted = packet.GSOTCP, feat.TSO6
	case GSOUDP:
		f.GSO, granted = packet.GSOUDP, feat.USO
	default:
		t.Errorf("unknown segmentation type %d", f.Vnet.GSOType)
	}
	f.GSOSize = f.Vnet.GSOSize
	if !granted || f.GSOSize == 0 || f.Vnet.Flags&NeedsCsum == 0 {
		t.Errorf("virtio-net header %+v does not suit features %+v", f.Vnet, feat)
	}
}

// complete does the device's part of the checksum.
func (f *Frame) complete() {
	start := int(f.Vnet.CsumStart)
	at := start + int(f.Vnet.CsumAt)
	if f.Vnet.Flags&NeedsCsum == 0 || f.GSO != packet.GSONone || at+2 > len(f.Raw) {
		return
	}
	end := packet.EthLen + len(f.L3) // padding does not count
	binary.BigEndian.PutUint16(f.Raw[at:], ^checksum.Sum(f.Raw[start:end], 0))
}

// UDP is the datagram in f, which must be one.
func (f *Frame) UDP(t testing.TB) packet.UDP {
	t.Helper()
	u, ok := packet.ParseUDP(f.L4)
	if f.Proto != packet.ProtoUDP || !ok {
		t.Fatalf("frame with protocol %d is no UDP datagram: % x", f.Proto, f.L3)
	}
	return u
}

// TCP is the segment in f, which must be one.
func (f *Frame) TCP(t testing.TB) packet.TCP {
	t.Helper()
	s, ok := packet.ParseTCP(f.L4)
	if f.Proto != packet.ProtoTCP || !ok {
		t.Fatalf("frame with protocol %d is no TCP segment: % x", f.Proto, f.L3)
	}
	return s
}

// ICMP is the ICMP or ICMPv6 message in f, which must be one.
func (f *Frame) ICMP(t testing.TB) packet.ICMP {
	t.Helper()
	m, ok := packet.ParseICMP(f.L4)
	if f.Proto != packet.ProtoICMP && f.Proto != packet.ProtoICMPv6 || !ok {
		t.Fatalf("frame with protocol %d is no ICMP message: % x", f.Proto, f.L3)
	}
	return m
}

// Datagrams lists the payloads of the UDP frames, super-frames cut as the guest
// would cut them.
func Datagrams(t testing.TB, frames []*Frame) [][]byte {
	t.Helper()
	var list [][]byte
	for _, f := range frames {
		payload := f.UDP(t).Payload()
		if f.GSO == packet.GSONone {
			list = append(list, payload)
			continue
		}
		for len(payload) > 0 {
			n := min(int(f.GSOSize), len(payload))
			list, payload = append(list, payload[:n]), payload[n:]
		}
	}
	return list
}
