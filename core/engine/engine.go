// Package engine builds the event loop and its handlers from one configuration and
// runs them: one goroutine, on a thread of its own, that owns the tap, all host
// sockets and all flow tables.
//
// Import level: the top of core.
package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/dhcp"
	"github.com/pasta-net/pasta/core/dns"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/icmp"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/neigh"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/pcap"
	"github.com/pasta-net/pasta/core/reasm"
	"github.com/pasta-net/pasta/core/splice"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/core/tcp"
	"github.com/pasta-net/pasta/core/udp"
)

// ErrTap is the end of a run because the link to the guest failed. The errno
// comes with it.
var ErrTap = errors.New("read from tap")

// Options are what New needs.
type Options struct {
	Config *config.Config
	// Device is the link to the guest; Close closes it. Without descriptor
	// (tap.Null) it is not read.
	Device tap.Device
	Log    *slog.Logger
	// Sockets of the target namespace, for the bypass; nil: there is none.
	Sockets splice.Sockets
	// Stations are who has which address on the link; nil: we have all.
	Stations neigh.Stations
	// Pcap receives a capture of the tap for as long as it can be written; nil:
	// none. The caller closes it.
	Pcap *os.File
	// StatsEvery has event counters logged at most so often; 0: never.
	StatsEvery time.Duration
}

// Engine is one guest's data path.
type Engine struct {
	cfg  *config.Config
	log  *slog.Logger
	loop *loop.Loop
	nat  *fwd.Map
	link *tap.Link
	tap  tapState

	reasm *reasm.Handler
	neigh *neigh.Handler
	dhcp  *dhcp.Server
	dns   *dns.Server
	tcp   *tcp.Handler
	udp   *udp.Handler
	icmp  *icmp.Handler

	splice    *splice.TCP
	spliceUDP [fwd.NumPifs]*splice.UDP // by pif of the listeners

	slots   [batchLen][]byte
	packets [batchLen]packet.Packet
	drain   drain
	done    chan struct{} // closed at the end of the run

	reporter reporter
	capture  *pcap.Writer // nil: none
}

// batchLen and batchBytes bound the frames read from the tap before their payloads
// are written: many small datagrams, but no more super-frames than the cache
// bears (make bench, tcp-out and udp-out).
const (
	batchLen   = 64
	batchBytes = 2 << 20

	// slotStride is the distance of the slots that frames are read to: not a power
	// of two, for which all would fall into the same sets of the cache.
	slotStride = 72 << 10
)

// New builds the data path. Nothing moves before Run.
func New(o Options) (*Engine, error) {
	lp, err := loop.New()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: o.Config, log: o.Log, loop: lp, nat: o.Config.Map(), reporter: newReporter(o.StatsEvery),
		done: make(chan struct{}),
	}
	e.tap.queue, _ = o.Device.(tap.Queue)
	e.tap.probe = e.probe
	e.link = tap.NewLink(o.Device, packet.MAC(o.Config.OurMAC), packet.MAC(o.Config.GuestMAC))
	slots := sys.Slab[byte](e, batchLen*slotStride)
	for i := range e.slots {
		e.slots[i] = slots[i*slotStride:][:tap.RecvLen:tap.RecvLen]
	}
	e.handlers(&o)
	if err := e.watch(o); err != nil {
		lp.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) handlers(o *Options) {
	sockets := o.Sockets
	e.reasm = reasm.New(e.nat, e.link)
	e.neigh = neigh.New(e.cfg, e.link, o.Stations, e.log)
	e.dhcp = dhcp.New(e.cfg, e.link, e.log)
	e.dns = dns.New(e.cfg, e.link, e.log)
	e.splice = splice.NewTCP(e.loop, sockets, splice.Options{RetryFor: e.cfg.Timeouts.Refused})
	for pif := range e.spliceUDP {
		e.spliceUDP[pif] = splice.NewUDP(e.loop, fwd.Pif(pif), sockets, splice.UDPOptions{
			OneWay: e.cfg.Timeouts.UDP, Stream: e.cfg.Timeouts.UDPStream,
		})
	}
	if sockets != nil {
		sockets.Notify(func() { e.loop.Post(e.resume) })
	}
	e.udp = udp.New(e.cfg, e.nat, e.link, e.loop, e.log)
	e.tcp = tcp.New(e.cfg, e.nat, e.link, e.loop, e.log, tcp.Options{Splice: e.splice, GiveWay: e.giveWay})
	for pif, s := range e.spliceUDP {
		e.udp.SetSplice(fwd.Pif(pif), s)
	}
	e.icmp = icmp.New(e.cfg, e.nat, e.link, e.loop, e.log)
}

// giveWay ends a flow of another protocol for a connection that needs a descriptor.
func (e *Engine) giveWay(now int64) bool {
	for _, s := range e.spliceUDP {
		if s.GiveWay(now) {
			return true
		}
	}
	return e.udp.GiveWay(now) || e.icmp.GiveWay(now)
}

// watch registers tap, listeners and capture.
func (e *Engine) watch(o Options) error {
	if fd := o.Device.FD(); fd >= 0 {
		if errno := e.loop.Add(fd, loop.In, tapToken); errno != 0 {
			return fmt.Errorf("watch tap: %w", errno)
		}
	}
	for _, l := range o.Config.Listen {
		if err := e.addListener(l); err != nil {
			return err
		}
	}
	if o.Pcap != nil {
		e.capture = pcap.NewWriter(int(o.Pcap.Fd()), func(err error) {
			e.log.Warn("go on without capture", "file", o.Pcap.Name(), "err", err)
		})
		e.link.Capture(e.capture)
	}
	return nil
}

// Run moves packets until Stop, then returns nil, or until the tap fails: ErrTap.
// All flows have ended when it returns. It is called once.
func (e *Engine) Run() error {
	// One thread does all the work of the data path; moving it between threads
	// would only cost cache misses and futex calls.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer e.closeFlows()
	e.neigh.Start(e.loop.Now())
	e.flushTap()
	for !e.finished() {
		if err := e.turn(); err != nil {
			return err
		}
	}
	return nil
}

// turn is one round of the loop: wait, dispatch, timers, and the work that
// connections put off so that others got their turn.
func (e *Engine) turn() error {
	e.expectAnswer()
	events, err := e.loop.Wait(e.deadline())
	if err != nil {
		return err
	}
	now, more := e.loop.Now(), e.tap.more
	e.drain.heard = false
	if err := e.fromProbe(now); err != nil {
		return err
	}
	for _, ev := range events {
		if err := e.dispatch(ev, now); err != nil {
			return err
		}
	}
	if more && !e.drain.heard {
		e.drain.heard = true
		if err := e.fromTap(0, now); err != nil {
			return err
		}
	}
	e.expire(now)
	e.tcp.RunBacklog(now)
	e.splice.RunBacklog(now)
	e.flush(now)
	e.report(now)
	return nil
}

// deadline is when the next turn has to come, events or not.
func (e *Engine) deadline() int64 {
	if e.tap.more || e.tcp.Backlog() || e.splice.Backlog() {
		return 0
	}
	if e.drain.until != 0 {
		return e.drain.deadline(e.loop.Now())
	}
	return min(e.tcp.NextDeadline(), e.udp.NextDeadline(), e.icmp.NextDeadline(), e.splice.NextDeadline(),
		e.spliceUDP[fwd.Host].NextDeadline(), e.spliceUDP[fwd.Splice].NextDeadline(), e.neigh.NextDeadline(),
		e.reasm.NextDeadline(), e.reporter.next)
}

func (e *Engine) expire(now int64) {
	if e.tcp.NextDeadline() <= now {
		e.tcp.Expire(now)
	}
	if e.udp.NextDeadline() <= now {
		e.udp.Expire(now)
	}
	if e.icmp.NextDeadline() <= now {
		e.icmp.Expire(now)
	}
	if e.splice.NextDeadline() <= now {
		e.splice.Expire(now)
	}
	for _, s := range e.spliceUDP {
		if s.NextDeadline() <= now {
			s.Expire(now)
		}
	}
	if e.neigh.NextDeadline() <= now {
		e.neigh.Expire(now)
	}
	if e.reasm.NextDeadline() <= now {
		e.reasm.Expire(now)
	}
	e.link.ForgetMTUs(now)
}

func (e *Engine) dispatch(ev loop.Event, now int64) error {
	t := ev.Token
	switch t.Kind() {
	case loop.KindTap:
		return e.tapEvent(ev.Bits, now)
	case loop.KindTCP:
		e.tcp.FromSock(t.Index(), t.Gen(), ev.Bits, now)
	case loop.KindTCPListen:
		return e.answers(e.tcp.FromListener(t.Index(), t.Gen(), now), now)
	case loop.KindUDP:
		e.udp.FromSock(t.Index(), t.Gen(), ev.Bits, now)
	case loop.KindUDPListen:
		e.udp.FromListener(t.Index(), t.Gen(), ev.Bits, now)
	case loop.KindICMP:
		e.icmp.FromSock(t.Index(), t.Gen(), ev.Bits, now)
	case loop.KindSplice:
		e.splice.FromSock(t.Index(), t.Gen(), ev.Bits, now)
	case loop.KindSpliceUDP:
		pif, i := splice.UDPToken(t.Index())
		e.spliceUDP[pif].FromSock(i, t.Gen(), ev.Bits, now)
	case loop.KindWake:
		e.loop.RunInbox()
	}
	return nil
}

// resume goes on with what waited for sockets of the namespace.
func (e *Engine) resume() {
	e.splice.Resume(e.loop.Now())
	for _, s := range e.spliceUDP {
		s.Resume(e.loop.Now())
	}
}

func (e *Engine) flush(now int64) {
	e.tcp.Flush(now)
	e.udp.Flush()
	e.flushTap()
}

func (e *Engine) closeFlows() {
	close(e.done)
	e.tcp.Close()
	e.udp.Close()
	e.icmp.Close()
	e.splice.Close()
	for _, s := range e.spliceUDP {
		s.Close()
	}
}

// Close closes the device, after Run has returned. The kernel takes tens of
// milliseconds to remove a network interface, which nobody need wait for.
func (e *Engine) Close() {
	e.link.Device().Close()
	e.loop.Close()
}
