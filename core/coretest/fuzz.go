package coretest

import (
	"encoding/binary"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// Plain puts an empty virtio-net header in front of a frame.
func Plain(frame []byte) []byte { return append(make([]byte, tap.VnetLen), frame...) }

// Record makes the input of a fuzz target that takes a sequence of frames apart
// with EachFrame: every frame behind two bytes of length.
func Record(frames ...[]byte) (b []byte) {
	for _, frame := range frames {
		b = binary.BigEndian.AppendUint16(b, uint16(len(frame)))
		b = append(b, frame...)
	}
	return b
}

// EachFrame calls f for every frame in b.
func EachFrame(b []byte, f func(frame []byte)) {
	for len(b) >= 2 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		f(b[2 : 2+n])
		b = b[2+n:]
	}
}

// ToLoopback tells whether a frame behind a virtio-net header can reach nothing
// but the host's loopback: it keeps fuzzers from talking to the network.
func ToLoopback(frame []byte) bool {
	if len(frame) < tap.VnetLen {
		return true
	}
	var p packet.Packet
	p.Parse(append([]byte(nil), frame[tap.VnetLen:]...))
	dst := p.Dst.Netip()
	return dst == Gateway4 || dst == Gateway6 || p.Dst.IsLoopback() || p.Dst.IsUnspecified()
}
