package udp

import (
	"math"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// FuzzFrames feeds sequences of frames, virtio-net headers included, to live flows,
// with time passing in between. Whatever the guest sends, no frame may panic,
// leak a socket or keep the loop busy. Targets are on the loopback device only.
func FuzzFrames(f *testing.F) {
	src := netip.AddrPortFrom(guest4, 1000)
	dst := netip.AddrPortFrom(gateway4, 9)
	plain := coretest.Plain(coretest.UDP(src, dst, []byte("payload")))
	v6 := coretest.Plain(coretest.UDP(netip.AddrPortFrom(guest6, 1), netip.AddrPortFrom(gateway6, 9), nil))
	super := append([]byte{1, 5, 42, 0, 100, 0, 34, 0, 6, 0}, coretest.UDP(src, dst, make([]byte, 1000))...)
	quote := coretest.UDP(dst, src, nil)[packet.EthLen:]
	refusal := coretest.Plain(coretest.ICMP(guest4, gateway4, 3, 3, 0, quote))
	f.Add(coretest.Record(plain, v6, super, refusal))
	f.Add(coretest.Record(plain, plain, refusal, plain))
	e := newEnv(f, coretest.AllFeatures) // one for all inputs: making it costs more than they do
	e.shrink(8)
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
			e.turn()
			e.Dev.Take(t)
			e.Now += int64(7 * time.Second)
			e.h.Expire(e.Now)
		})
		e.Now += int64(time.Hour)
		e.h.Expire(e.Now)
		if e.h.Len() != 0 || e.h.hostSide.Len() != 0 {
			t.Errorf("%d flows and %d ports left", e.h.Len(), e.h.hostSide.Len())
		}
	})
}

// FuzzHostError checks that whatever an error queue holds becomes a valid packet.
func FuzzHostError(f *testing.F) {
	f.Add(uint8(sys.OriginICMP), uint8(3), uint8(4), uint32(1280), uint32(90), true, []byte("payload"))
	f.Add(uint8(sys.OriginICMP6), uint8(2), uint8(0), uint32(1280), uint32(90), false, make([]byte, 2000))
	f.Add(uint8(sys.OriginLocal), uint8(0), uint8(0), uint32(0), uint32(101), true, []byte{})
	e := newEnv(f, coretest.AllFeatures)
	f.Fuzz(func(t *testing.T, origin, typ, code uint8, info, errno uint32, v4 bool, payload []byte) {
		e.T = t
		defer e.h.table.All(e.h.close)
		src, dst := netip.AddrPortFrom(guest6, 1), netip.AddrPortFrom(gateway6, 9)
		if v4 {
			src, dst = netip.AddrPortFrom(guest4, 1), netip.AddrPortFrom(gateway4, 9)
		}
		e.guestSends(coretest.UDP(src, dst, nil))
		e.Dev.Discard()
		e.h.passError(e.h.table.Key(e.h.recent), e.h.flows[e.h.recent].host, &sys.ExtendedErr{
			Origin: origin, Type: typ, Code: code, Info: info, Errno: syscall.Errno(errno),
		}, payload[:min(len(payload), errLen)])
		for _, frame := range e.Dev.Take(t) {
			var q packet.Quoted
			if !packet.ParseQuoted(frame.ICMP(t), &q) || q.SrcPort != 1 || q.DstPort != 9 {
				t.Errorf("quotes %+v, want ports 1 and 9", q)
			}
		}
	})
}
