package engine

import (
	"fmt"
	"syscall"

	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// tapBatches bounds how many batches one tap event handles before sockets and
// timers get their share.
const tapBatches = 4

// probeBelow is how many bytes of frames, sent in one turn, may still make a request of few
// packets, to which the guest's answer is what comes next.
const probeBelow = 4 << 10

// tapToken marks events of the tap.
var tapToken = loop.MakeToken(loop.KindTap, 0, 0)

// tapState is what the loop knows of the device.
type tapState struct {
	// queue is the device, if it collects frames.
	queue tap.Queue
	// more: there may be frames that were not read in this turn.
	more bool
	// full: the queue waits for an event that the device takes more.
	full bool

	// sent is what the counter of bytes to the guest said before this turn.
	sent uint64
	// probe is Engine.probe; probed: it has read a frame into the first slot, or an error,
	// with drop and errno as the link says.
	probe  func() bool
	probed bool
	drop   packet.Drop
	errno  syscall.Errno
}

// tapEvent handles an event of the tap.
func (e *Engine) tapEvent(bits uint32, now int64) error {
	if bits&loop.Out != 0 {
		e.tapReady(now)
	}
	if bits&^loop.Out == 0 {
		return nil
	}
	e.drain.heard = true
	return e.fromTap(bits, now)
}

// fromTap reads and handles frames of the guest.
func (e *Engine) fromTap(bits uint32, now int64) error {
	for range tapBatches {
		errno := e.readBatch(batchLen, now)
		e.flush(now)
		if e.tap.more = errno == 0; !e.tap.more {
			return tapError(errno, bits)
		}
	}
	return nil
}

// answers reads the guest's answers to n SYNs: its kernel gave them while these
// were written. What else waits is left to the tap's own event, if it makes one.
func (e *Engine) answers(n int, now int64) error {
	if n == 0 {
		return nil
	}
	errno := e.readBatch(min(n, batchLen), now)
	e.flush(now)
	if errno != 0 {
		return tapError(errno, 0)
	}
	e.tap.more = e.tap.more || e.tap.queue != nil
	return nil
}

// expectAnswer has the loop try the tap itself while it polls, after a turn that sent the
// guest little. Where more goes on, the tap is better read in batches; and with a device
// that collects frames, what else it has would have no event.
func (e *Engine) expectAnswer() {
	t, sent := &e.tap, e.link.Stats.ToGuestBytes
	if n := sent - t.sent; n > 0 && n < probeBelow && t.queue == nil {
		e.loop.Probe(t.probe)
	}
	t.sent = sent
}

// probe reads one frame for the next turn, and tells whether there was one, or an error.
// What else waits is left to the tap's own event.
func (e *Engine) probe() bool {
	t := &e.tap
	t.drop, t.errno = e.link.Recv(e.slots[0], &e.packets[0])
	t.probed = t.errno != syscall.EAGAIN
	return t.probed
}

// fromProbe handles what probe has read, if it has.
func (e *Engine) fromProbe(now int64) error {
	t := &e.tap
	if !t.probed {
		return nil
	}
	t.probed = false
	if t.errno != 0 {
		return tapError(t.errno, 0)
	}
	e.drain.heard = true
	e.frame(0, t.drop, now)
	e.flush(now)
	return nil
}

// flushTap passes on what was sent to a device that collects it.
func (e *Engine) flushTap() {
	t := &e.tap
	if t.queue == nil || t.full || !t.queue.Flush() {
		return
	}
	t.full = true
	_ = e.loop.Mod(t.queue.FD(), loop.In|loop.Out, tapToken)
}

// tapReady goes on with what waits for room in the device.
func (e *Engine) tapReady(now int64) {
	t := &e.tap
	if t.full = t.queue.Flush(); !t.full {
		_ = e.loop.Mod(t.queue.FD(), loop.In, tapToken)
	}
	e.tcp.LinkReady(now)
}

// readBatch reads a batch of at most n frames and hands them to their handlers, which
// may point into the slots until flush. What fragments make complete is in the slot
// of the last one.
func (e *Engine) readBatch(n int, now int64) syscall.Errno {
	start := e.link.Stats.FromGuestBytes
	for i := range n {
		drop, errno := e.link.Recv(e.slots[i], &e.packets[i])
		if errno != 0 {
			return errno
		}
		e.frame(i, drop, now)
		if e.link.Stats.FromGuestBytes-start >= batchBytes {
			break
		}
	}
	return 0
}

// frame handles what the link read into slot i.
func (e *Engine) frame(i int, drop packet.Drop, now int64) {
	p := &e.packets[i]
	if drop == packet.DropNone || drop == packet.DropFragment && e.reasm.FromTap(p, e.slots[i], now) {
		e.packet(p, now)
	}
}

// tapError tells errors that pass from the end of the link. EIO is a link that
// is down (tun_chr_read_iter), which the guest may bring up again.
func tapError(errno syscall.Errno, bits uint32) error {
	switch errno {
	case syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS:
		if bits&(loop.Err|loop.Hup) == 0 {
			return nil
		}
	case syscall.EIO:
		return nil
	}
	return fmt.Errorf("%w: %w", ErrTap, errno)
}

// packet dispatches one valid packet.
func (e *Engine) packet(p *packet.Packet, now int64) {
	if p.EtherType == packet.EtherTypeARP {
		e.neigh.FromTap(p, now)
		return
	}
	if !e.nat.Family(p.Src).Enabled {
		e.link.Drop(packet.DropDisabled)
		return
	}
	e.nat.Observe(p.Src)
	switch p.Proto {
	case packet.ProtoTCP:
		e.tcpFromTap(p, now)
	case packet.ProtoUDP:
		e.udpFromTap(p, now)
	case icmpProto(p.Src):
		e.icmpFromTap(p, now)
	default:
		e.link.Drop(packet.DropProtocol)
	}
}

// icmpProto is the control protocol of the IP version of a; that of the other
// means nothing in it.
func icmpProto(a packet.Addr) uint8 {
	if a.Is4() {
		return packet.ProtoICMP
	}
	return packet.ProtoICMPv6
}

func (e *Engine) tcpFromTap(p *packet.Packet, now int64) {
	if !e.cfg.TCP {
		e.link.Drop(packet.DropDisabled)
		return
	}
	e.tcp.FromTap(p, now)
}

func (e *Engine) udpFromTap(p *packet.Packet, now int64) {
	u, ok := packet.ParseUDP(p.L4)
	if !ok {
		e.link.Drop(packet.DropTransport)
		return
	}
	if e.dhcp.FromTap(p, u) || e.dns.FromTap(p, u) {
		return
	}
	if !e.cfg.UDP {
		e.link.Drop(packet.DropDisabled)
		return
	}
	e.udp.FromTap(p, now)
}

func (e *Engine) icmpFromTap(p *packet.Packet, now int64) {
	if e.neigh.FromTap(p, now) {
		return
	}
	if e.tooBig(p, now) {
		return
	}
	if !e.cfg.ICMP {
		e.link.Drop(packet.DropDisabled)
		return
	}
	if e.udp.FromGuestError(p) {
		return
	}
	e.icmp.FromTap(p, now)
}

// tooBig handles an error about a packet of ours that is too long for where the guest
// forwards it to, and tells whether p is one.
func (e *Engine) tooBig(p *packet.Packet, now int64) bool {
	m, ok := packet.ParseICMP(p.L4)
	if !ok {
		return false
	}
	mtu, ok := packet.TooBig(m, p.Proto)
	var q packet.Quoted
	if !ok || !packet.ParseQuoted(m, &q) {
		return false
	}
	if q.Proto == packet.ProtoTCP {
		return e.tcp.TooBig(&q, mtu, now)
	}
	e.link.LearnMTU(q.Dst, mtu, now)
	return true
}
