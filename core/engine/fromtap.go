package engine

import (
	"fmt"
	"syscall"

	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
)

// tapBatches bounds how many batches one tap event handles before sockets and
// timers get their share.
const tapBatches = 4

// fromTap reads and handles frames of the guest.
func (e *Engine) fromTap(bits uint32, now int64) error {
	for range tapBatches {
		errno := e.readBatch(batchLen, now)
		e.flush(now)
		if errno != 0 {
			return tapError(errno, bits)
		}
	}
	return nil
}

// answers reads the guest's answers to n SYNs: its kernel gave them while these
// were written. What else waits is left to the tap's own event.
func (e *Engine) answers(n int, now int64) error {
	if n == 0 {
		return nil
	}
	errno := e.readBatch(min(n, batchLen), now)
	e.flush(now)
	if errno != 0 {
		return tapError(errno, 0)
	}
	return nil
}

// readBatch reads a batch of at most n frames and hands them to their handlers, which
// may point into the slots until flush.
func (e *Engine) readBatch(n int, now int64) syscall.Errno {
	start := e.link.Stats.FromGuestBytes
	for i := range n {
		p := &e.packets[i]
		drop, errno := e.link.Recv(e.slots[i], p)
		if errno != 0 {
			return errno
		}
		if drop == packet.DropNone {
			e.packet(p, now)
		}
		if e.link.Stats.FromGuestBytes-start >= batchBytes {
			break
		}
	}
	return 0
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
	if e.dhcp.FromTap(p, u) {
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
	if !e.cfg.ICMP {
		e.link.Drop(packet.DropDisabled)
		return
	}
	if e.udp.FromGuestError(p) {
		return
	}
	e.icmp.FromTap(p, now)
}
