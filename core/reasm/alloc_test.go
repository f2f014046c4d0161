package reasm

import (
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
)

// TestNoAllocationPerPacket: once the buffer is there, fragments make no garbage, nor
// do those that are not valid, overlap, or displace others.
func TestNoAllocationPerPacket(t *testing.T) {
	eachFamily(t, func(t *testing.T, fam coretest.Family) {
		f := newFixture(t, nil)
		frames := coretest.Fragments(datagram(fam, 8000), 1, 1480)
		var others [][]byte
		for id := range uint32(2 * maxPartial) {
			others = append(others, coretest.Fragments(datagram(fam, 100), 2+id, 64)[0])
		}
		run := func() {
			f.sendAll(frames[1:]...)
			f.send(frames[1])
			f.send(frames[0])
			f.sendAll(others...)
			f.now += 2 * timeout
			f.Expire(f.now)
			f.dev.Discard()
		}
		run()
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("%v allocations, want 0", n)
		}
		if f.Stats.Packets != 22 || f.Stats.Displaced == 0 || f.Stats.Timeouts == 0 { // AllocsPerRun warms up
			t.Errorf("stats %+v", f.Stats)
		}
	})
}

// BenchmarkReassembly is a datagram of 8 KB in fragments of an ordinary network.
func BenchmarkReassembly(b *testing.B) {
	f := newFixture(b, nil)
	frames := coretest.Fragments(datagram(coretest.Families[0], 8000), 1, 1480)
	b.ReportAllocs()
	b.SetBytes(8000)
	for b.Loop() {
		if f.sendAll(frames...) != 1 {
			b.Fatal("no packet")
		}
	}
}
