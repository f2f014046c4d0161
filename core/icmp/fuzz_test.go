package icmp

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// FuzzFrames feeds sequences of frames, each behind two bytes of length, to live
// flows, with time passing in between: no frame may panic or leak a socket. Where
// ping sockets are forbidden, only the way to them is covered.
func FuzzFrames(f *testing.F) {
	record := func(frames ...[]byte) (b []byte) {
		for _, frame := range frames {
			b = binary.BigEndian.AppendUint16(b, uint16(tap.VnetLen+len(frame)))
			b = append(b, make([]byte, tap.VnetLen)...)
			b = append(b, frame...)
		}
		return b
	}
	f.Add(record(coretest.Echo(guest4, gateway4, 1, 1, []byte("x")), coretest.Echo(guest6, gateway6, 1, 1, nil)))
	f.Add(record(coretest.ICMP(guest4, gateway4, packet.ICMPUnreachable, 3, 0, make([]byte, 28))))
	e := newEnv(f) // one for all inputs: making it costs more than they do
	f.Fuzz(func(t *testing.T, b []byte) {
		e.t = t
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			if frame := b[2 : 2+n]; toLoopback(frame) {
				e.dev.InjectRaw(frame)
			}
			b = b[2+n:]
			e.deliver()
			e.turn()
			e.dev.Take(t)
			e.now += int64(7 * time.Second)
			e.h.Expire(e.now)
		}
		e.now += int64(time.Hour)
		if e.h.Expire(e.now); e.h.Len() != 0 {
			t.Errorf("%d flows left", e.h.Len())
		}
	})
}

// toLoopback keeps the fuzzer from talking to the network.
func toLoopback(frame []byte) bool {
	var p packet.Packet
	if len(frame) < tap.VnetLen {
		return true
	}
	p.Parse(append([]byte(nil), frame[tap.VnetLen:]...))
	dst := p.Dst.Netip()
	return dst == gateway4 || dst == gateway6 || p.Dst.IsLoopback() || p.Dst.IsUnspecified()
}
