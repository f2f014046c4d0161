package coretest

import (
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// Addresses of the tests: the gateway stands for the host's loopback.
var (
	Guest4    = netip.MustParseAddr("10.66.0.2")
	Guest6    = netip.MustParseAddr("fd66::2")
	Gateway4  = netip.MustParseAddr("10.66.0.1")
	Gateway6  = netip.MustParseAddr("fd66::1")
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

// Family is what differs between the IP versions.
type Family struct {
	Name                     string
	Guest, Gateway, Loopback netip.Addr
}

// Families are both.
var Families = []Family{
	{"IPv4", Guest4, Gateway4, loopback4},
	{"IPv6", Guest6, Gateway6, loopback6},
}

// Config serves all protocols to a guest with the addresses above, with MTU 1500
// and without link services.
func Config() *config.Config {
	of := func(f Family, prefixLen int) config.Family {
		return config.Family{
			Enabled: true, Guest: f.Guest, PrefixLen: prefixLen, Gateway: f.Gateway, Our: f.Gateway, MapHostLoopback: f.Gateway,
		}
	}
	return &config.Config{
		MTU: 1500, OurMAC: OurMAC, GuestMAC: GuestMAC, V4: of(Families[0], 24), V6: of(Families[1], 64),
		TCP: true, UDP: true, ICMP: true,
	}
}

// LinkConfig serves a link and nothing else. The gateway of IPv6 is link-local, which
// we are too.
func LinkConfig(link config.Link) *config.Config {
	ll := netip.MustParseAddr("fe80::1")
	return &config.Config{
		MTU: 65520, OurMAC: OurMAC, OurLinkLocal: ll, Link: link,
		V4: config.Family{Enabled: true, Guest: Guest4, PrefixLen: 24, Gateway: Gateway4, Our: Gateway4},
		V6: config.Family{Enabled: true, Guest: Guest6, PrefixLen: 64, Gateway: ll, Our: ll},
	}
}

// Patience is how long, in real time, a test waits for the host's kernel.
const Patience = 5 * time.Second

// Env is what a protocol handler lives in: an in-memory guest on one side, a loop
// that watches real sockets on the other, and a clock that only the test moves.
// A test's own env embeds it, and drives the handler as the engine does.
type Env struct {
	T    testing.TB
	Dev  *MemTap
	Link *tap.Link
	Loop *loop.Loop
	Now  int64 // nanoseconds

	slots [][]byte
	batch []*packet.Packet
	pool  []*packet.Packet // one for each of slots
}

// NewEnv makes an Env whose tap has the given features. wrap, if not nil, spoils
// the tap in other ways.
func NewEnv(t testing.TB, feat tap.Features, wrap func(tap.Device) tap.Device) *Env {
	t.Helper()
	e := &Env{T: t, Dev: NewMemTap(t, feat)}
	var dev tap.Device = e.Dev
	if wrap != nil {
		dev = wrap(dev)
	}
	e.Link = tap.NewLink(dev, OurMAC, GuestMAC)
	var err error
	if e.Loop, err = loop.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Loop.Close)
	return e
}

// Batch receives at most limit frames from the guest and gives the valid packets
// in them, good until the next call. more is false when no frame is left.
func (e *Env) Batch(limit int) (packets []*packet.Packet, more bool) {
	e.batch = e.batch[:0]
	for i := range limit {
		if i == len(e.slots) {
			e.slots = append(e.slots, make([]byte, tap.RecvLen))
			e.pool = append(e.pool, &packet.Packet{})
		}
		drop, errno := e.Link.Recv(e.slots[i], e.pool[i])
		if errno == syscall.EAGAIN {
			return e.batch, false
		}
		if drop == packet.DropNone {
			e.batch = append(e.batch, e.pool[i])
		}
	}
	return e.batch, true
}

// Events gives the events that are pending, or come within wait.
func (e *Env) Events(wait time.Duration) []loop.Event {
	e.T.Helper()
	deadline := int64(0)
	if wait > 0 {
		deadline = e.Loop.Now() + int64(wait)
	}
	events, err := e.Loop.Wait(deadline)
	if err != nil {
		e.T.Fatal(err)
	}
	return events
}

// Until calls turn, with how long it may wait for events, until done. It waits for
// the host's kernel, never for the test's clock, which stands still.
func (e *Env) Until(what string, turn func(wait time.Duration), done func() bool) {
	e.T.Helper()
	turn(0)
	for end := time.Now().Add(Patience); !done(); {
		if time.Now().After(end) {
			e.T.Fatalf("waited in vain for: %s", what)
		}
		turn(time.Millisecond)
	}
}

// TakeFD gives the descriptor of a socket of package net, non-blocking, to the
// caller, and closes the socket itself.
func TakeFD(t testing.TB, socket interface {
	File() (*os.File, error)
	Close() error
},
) int {
	t.Helper()
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer socket.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return fd
}
