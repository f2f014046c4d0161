package tcp

import (
	"math"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/packet"
)

// exhaustDescriptors leaves the process without a free descriptor until the
// returned function is called.
func exhaustDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	// The lowest free number tells how many are in use, without gaps below it.
	var fill []*os.File
	limit := old
	limit.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		fill = append(fill, f)
	}
	restored := false
	restore = func() {
		if restored {
			return
		}
		restored = true
		for _, f := range fill {
			_ = f.Close()
		}
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	}
	t.Cleanup(restore)
	return restore
}

func TestListenerRestsWithoutDescriptors(t *testing.T) {
	e := newEnv(t, setup{})
	a := e.listen(guestPort)
	c := dial(t, a)
	restore := exhaustDescriptors(t)
	e.until("pause", func() bool { return e.h.paused != 0 })
	if at := e.h.NextDeadline(); at != e.Now+listenPause {
		t.Errorf("next try after %v, want %v", time.Duration(at-e.Now), time.Duration(listenPause))
	}
	if events, err := e.Loop.Wait(0); err != nil || len(events) != 0 {
		t.Errorf("%d events, error %v from a listener that rests", len(events), err)
	}
	e.advance(time.Duration(listenPause))
	if e.h.Len() != 0 {
		t.Fatal("accepted without descriptor")
	}
	restore()
	e.advance(time.Duration(listenPause))
	p := e.newPeer(portOf(c.LocalAddr()))
	p.await(seg{flags: syn, wnd: 65535})
}

func TestSynIsDroppedWithoutDescriptors(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	restore := exhaustDescriptors(t)
	p.send(seg{flags: syn, wnd: 65535})
	p.expect()
	if got := e.Link.Stats.Drops[packet.DropNoSocket]; got != 1 {
		t.Errorf("%d drops without socket, want 1", got)
	}
	p.expectGone()
	restore()
	p.connect(l) // the guest tries again
}

// Flows of other protocols that are idle give way: a guest with many of them can still
// connect and be connected to.
func TestIdleFlowsGiveWay(t *testing.T) {
	var idle []*os.File
	give := func(int64) bool {
		if len(idle) == 0 {
			return false
		}
		_ = idle[0].Close()
		idle = idle[1:]
		return true
	}
	e := newEnv(t, setup{opts: Options{GiveWay: give}})
	l := hostListener(t, "127.0.0.1", 0)
	c := dial(t, e.listen(guestPort))
	for range 3 { // one is kept in reserve for accepted connections
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, f)
	}
	exhaustDescriptors(t)
	in := e.newPeer(portOf(c.LocalAddr()))
	in.await(seg{flags: syn, wnd: 65535})
	out := e.newPeer(portOf(l.Addr()))
	out.guest = netip.AddrPortFrom(guest4, guestPort+1)
	out.send(seg{flags: syn, wnd: 65535})
	out.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	if n := e.Link.Stats.Drops[packet.DropNoSocket]; n != 0 || e.h.paused != 0 || len(idle) != 0 {
		t.Errorf("%d drops without socket, paused until %d, %d idle flows left", n, e.h.paused, len(idle))
	}
}

// A guest whose connections all hold data takes no more than the pool has.
func TestManyStalledHostsShareThePool(t *testing.T) {
	e := newEnv(t, setup{opts: Options{MaxFlows: 16, HeldChunks: 4}})
	l := hostListener(t, "127.0.0.1", 4096)
	var peers []*peer
	for i := range 8 {
		p := e.newPeer(portOf(l.Addr()))
		p.guest = netip.AddrPortFrom(guest4, guestPort+uint16(i))
		p.connect(l)
		shrinkSendBuffer(t, e.connOf(p))
		peers = append(peers, p)
	}
	sent := make([]int, len(peers))
	for range 300 {
		for i, p := range peers {
			c := e.connOf(p)
			n := min(1400, int(c.rcvAdv-p.iss)-1-sent[i])
			p.send(seg{flags: ack, seq: 1 + sent[i], ack: 1, wnd: 65535, data: pattern(sent[i], n)})
			sent[i] = int(c.lastAck-p.iss) - 1
			e.Dev.Discard()
		}
	}
	if e.h.pool.left != 0 {
		t.Errorf("%d chunks left, want all in use", e.h.pool.left)
	}
	for i, p := range peers {
		p.hostReads(pattern(0, sent[i]))
	}
	e.until("free pool", func() bool { return e.h.pool.left == len(e.h.pool.meta) })
}

// TestFlowsLeaveDescriptors: connections that come take what is below the limit, none is
// lost for coming too late, and the guest's own find no more either.
func TestFlowsLeaveDescriptors(t *testing.T) {
	e := newEnv(t, setup{})
	a := e.listen(guestPort)
	l := hostListener(t, "127.0.0.1", 0)
	var clients []net.Conn
	for range 8 {
		clients = append(clients, dial(t, a))
	}
	const room = 4
	free := coretest.FirstFree(t)
	e.h.fdLimit = hostsock.Limit(free + room)
	e.h.spare = hostsock.NewSpare(e.h.fdLimit)
	e.until("pause", func() bool { return e.h.paused != 0 })
	accepted := e.h.Len()
	if accepted != room {
		t.Errorf("%d connections with room for %d", accepted, room)
	}
	e.h.table.All(func(i uint32) {
		if fd := e.h.conns[i].fd32(); fd >= int(e.h.fdLimit) {
			t.Errorf("a connection has descriptor %d, at or above %d", fd, e.h.fdLimit)
		}
	})
	p := e.newPeer(portOf(l.Addr()))
	p.send(seg{flags: syn, wnd: 65535})
	if got := e.Link.Stats.Drops[packet.DropNoSocket]; got != 1 {
		t.Errorf("%d drops without socket, want 1", got)
	}
	e.h.fdLimit = math.MaxInt
	e.h.spare = hostsock.NewSpare(e.h.fdLimit)
	e.advance(time.Duration(listenPause))
	e.until("the rest", func() bool { return e.h.Len() == len(clients) })
}
