package reasm

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// fixture is a handler on an in-memory tap, with a clock that the test moves.
type fixture struct {
	*Handler
	t    testing.TB
	dev  *coretest.MemTap
	now  int64
	slot []byte
	p    packet.Packet
}

func newFixture(t testing.TB, change func(*config.Config)) *fixture {
	t.Helper()
	cfg := coretest.Config()
	if change != nil {
		change(cfg)
	}
	link, dev := coretest.NewLink(t, coretest.AllFeatures)
	return &fixture{Handler: New(cfg.Map(), link), t: t, dev: dev, slot: make([]byte, tap.RecvLen)}
}

// send has the guest send one frame, which has to be a fragment or not valid, and
// tells whether f.p is the packet that it makes complete.
func (f *fixture) send(frame []byte) (whole bool) {
	f.t.Helper()
	f.dev.Inject(frame)
	drop, errno := f.link.Recv(f.slot, &f.p)
	if errno != 0 {
		f.t.Fatal(errno)
	}
	switch drop {
	case packet.DropNone:
		f.t.Fatalf("no fragment: % x", frame)
	case packet.DropFragment:
		whole = f.FromTap(&f.p, f.slot, f.now)
	}
	if _, errno := f.link.Recv(f.slot[:0], &packet.Packet{}); errno != syscall.EAGAIN {
		f.t.Fatal("more than one frame")
	}
	return whole
}

// sendAll sends frames, and counts the packets that they made complete.
func (f *fixture) sendAll(frames ...[]byte) (wholes int) {
	f.t.Helper()
	for _, frame := range frames {
		if f.send(frame) {
			wholes++
		}
	}
	return wholes
}

// drops are the reasons counted.
func (f *fixture) drops() map[packet.Drop]uint64 { return coretest.Drops(f.link) }

// used is the number of packets that are incomplete.
func (f *fixture) used() (n int) {
	for i := range f.partial {
		if f.partial[i].used {
			n++
		}
	}
	return n
}

// buffers is the number of those that were ever made.
func (f *fixture) buffers() (n int) {
	for i := range f.partial {
		if f.partial[i].buf != nil {
			n++
		}
	}
	return n
}

// text is n bytes that differ from their neighbours.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// datagram is a UDP datagram from the guest with n bytes.
func datagram(fam coretest.Family, n int) []byte {
	return coretest.UDP(netip.AddrPortFrom(fam.Guest, 4000), netip.AddrPortFrom(fam.Gateway, 53), text(n))
}

// transportOf is what follows the IP header of a frame.
func transportOf(frame []byte) []byte {
	var p packet.Packet
	p.Parse(frame)
	return p.L4
}

// eachFamily runs a test for both versions of IP.
func eachFamily(t *testing.T, test func(t *testing.T, fam coretest.Family)) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) { test(t, fam) })
	}
}
