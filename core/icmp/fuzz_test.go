package icmp

import (
	"math"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// FuzzFrames feeds sequences of frames, each behind two bytes of length, to live
// flows, with time passing in between: no frame may panic or leak a socket. Where
// ping sockets are forbidden, only the way to them is covered.
func FuzzFrames(f *testing.F) {
	f.Add(coretest.Record(
		coretest.Plain(coretest.Echo(guest4, gateway4, 1, 1, []byte("x"))),
		coretest.Plain(coretest.Echo(guest6, gateway6, 1, 1, nil)),
	))
	f.Add(coretest.Record(coretest.Plain(coretest.ICMP(guest4, gateway4, packet.ICMPUnreachable, 3, 0, make([]byte, 28)))))
	e := newEnv(f) // one for all inputs: making it costs more than they do
	f.Fuzz(func(t *testing.T, b []byte) {
		e.T = t
		if e.Now > math.MaxInt64/2 { // after so many inputs the hours would overflow
			e.Now = 0
		}
		coretest.EachFrame(b, func(frame []byte) {
			if coretest.ToLoopback(frame) {
				e.Dev.InjectRaw(frame)
			}
			e.deliver()
			e.turn(0)
			e.Dev.Take(t)
			e.Now += int64(7 * time.Second)
			e.h.Expire(e.Now)
		})
		e.Now += int64(time.Hour)
		if e.h.Expire(e.Now); e.h.Len() != 0 {
			t.Errorf("%d flows left", e.h.Len())
		}
	})
}
