package splice

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
)

// end is one end of a connection and what it knows of the other's stream.
type end struct {
	peer
	sent, read   int // bytes; each byte of a stream tells its place
	open, ending bool
	reset        bool
}

func pattern(at int) byte { return byte(at ^ at>>8*31) }

func (x *end) say(n int) {
	if !x.open || x.ending {
		return
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = pattern(x.sent + i)
	}
	if n, errno := sys.Send(x.fd, b, sys.MsgNosignal|sys.MsgDontwait); errno == 0 {
		x.sent += n
	}
}

// hear reads up to n bytes and checks that they are the next ones of other's.
func (x *end) hear(t *testing.T, n int, other *end) (ended bool) {
	if !x.open {
		return true
	}
	b := make([]byte, n)
	got, errno := x.peer.read(b)
	for i, v := range b[:got] {
		if v != pattern(x.read+i) {
			t.Fatalf("byte %d of the stream is %#x, want %#x", x.read+i, v, pattern(x.read+i))
		}
	}
	x.read += got
	if x.read > other.sent {
		t.Fatalf("read %d bytes of %d", x.read, other.sent)
	}
	if got == 0 && errno == 0 && !other.ending && !other.reset && other.open {
		t.Fatal("end of stream of an end that has not ended")
	}
	return got == 0 && errno != syscall.EAGAIN
}

func (x *end) finish(how byte) {
	if !x.open {
		return
	}
	switch how % 3 {
	case 0:
		_ = sys.Shutdown(x.fd, sys.ShutWr)
		x.ending = true
	case 1:
		x.open, x.reset = false, true
		x.peer.reset()
	case 2: // RST if something is unread
		x.open, x.ending, x.reset = false, true, true
		sys.Close(x.fd)
	}
}

// FuzzConnection runs sequences of what two ends may do, in any order: whatever they
// do, bytes arrive in order, nothing is invented, nothing leaks, and if nobody resets
// everything arrives.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{0x00, 0x10, 0x41, 0x52, 0x02, 0x03, 0x60, 0x80})
	f.Add([]byte{0xf0, 0xf1, 0x12, 0xf0, 0x62, 0x04, 0x14, 0xf0})
	f.Add([]byte{0xf0, 0xf0, 0xf0, 0x24, 0x13, 0xff, 0x00})
	f.Add([]byte{0xf0, 0xf0, 0xf0, 0xf0, 0x04, 0x02, 0x22, 0x32, 0x52, 0x44})
	// Listeners for all inputs: what is left of a connection keeps the port of its
	// listener for a minute (TIME-WAIT), and there are not enough for one each.
	front, here := listen(f, "127.0.0.1")
	back, at := listen(f, "127.0.0.1")
	f.Cleanup(func() { sys.Close(front); sys.Close(back) })
	f.Fuzz(func(t *testing.T, ops []byte) {
		discardAll(front) // of an input that failed
		discardAll(back)
		e := newEnv(t, Options{})
		c := e.clientOf(front, here, fwd.Host, at)
		e.quiet()
		s := peer{t, accept(t, back)}
		ends := [2]*end{{peer: c, open: true}, {peer: s, open: true}}
		for _, op := range ops[:min(len(ops), 64)] {
			x, other := ends[op>>3&1], ends[1-op>>3&1]
			size := 1 << (op >> 4) * 8
			switch op & 7 {
			case 0, 1:
				x.say(size)
			case 2, 3:
				x.hear(t, size, other)
			case 4:
				x.finish(op >> 4)
			default:
				e.turn()
			}
		}
		e.settle(t, ends)
	})
}

// settle ends what is still open and checks that everything arrived unless it was
// reset.
func (e *env) settle(t *testing.T, ends [2]*end) {
	t.Helper()
	whole := !ends[0].reset && !ends[1].reset
	for _, x := range ends {
		if x.open && !x.ending {
			x.finish(0)
		}
	}
	for i, x := range ends {
		e.until("ended", func() bool { return x.hear(t, 1<<20, ends[1-i]) })
		if x.open {
			sys.Close(x.fd)
		}
	}
	if whole && (ends[0].read != ends[1].sent || ends[1].read != ends[0].sent) {
		t.Errorf("read %d of %d and %d of %d bytes", ends[0].read, ends[1].sent, ends[1].read, ends[0].sent)
	}
	e.wantGone()
}
