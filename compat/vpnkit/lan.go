package vpnkit

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// lan is the network that all guests are on, as far as they talk to each other: it
// knows where frames for a guest go. A guest may have several connections; the last
// one that carried something other than DHCP is its own. Before, nothing is sent
// there: whoever is behind it may not be ready for frames.
type lan struct {
	serverMAC packet.MAC

	mu      sync.Mutex
	current map[packet.MAC]*port
}

func newLAN(serverMAC packet.MAC) *lan {
	return &lan{serverMAC: serverMAC, current: map[packet.MAC]*port{}}
}

// speaks notes that the guest of p uses that connection.
func (l *lan) speaks(p *port) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.current[p.mac]; old != nil {
		old.spoke.Store(false)
	}
	l.current[p.mac] = p
	p.spoke.Store(true)
}

// leave forgets p, whose connection has ended.
func (l *lan) leave(p *port) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current[p.mac] == p {
		delete(l.current, p.mac)
	}
}

// forward gives a frame to the guest that it is for, or if it is for a group to all
// but the sender from. One beyond the MTU, which is the same for all, is lost.
func (l *lan) forward(from *port, frame []byte) {
	if len(frame) > from.mtu+packet.EthLen {
		return
	}
	dst := packet.MAC(frame)
	l.mu.Lock()
	defer l.mu.Unlock()
	if dst.IsUnicast() {
		if to := l.current[dst]; to != nil {
			to.deliver(frame)
		}
		return
	}
	for mac, to := range l.current {
		if mac != from.mac {
			to.deliver(frame)
		}
	}
}

// port is the link to one connection: a stream, with an inbox for frames from other
// guests. Other goroutines may call deliver; the rest is the event loop's.
type port struct {
	*tap.Stream
	lan   *lan
	mac   packet.MAC
	mtu   int
	spoke atomic.Bool // this is the guest's connection
	wake  func()
	inbox inbox
}

var _ tap.Queue = (*port)(nil)

// join makes the port of a connection.
func (l *lan) join(s *tap.Stream, mac packet.MAC, mtu int) *port {
	return &port{Stream: s, lan: l, mac: mac, mtu: mtu}
}

// Features implements tap.Device. Clients may leave checksums zero, and were told of
// the MTU.
func (p *port) Features() tap.Features { return tap.Features{Unsummed: true, MTU: p.mtu} }

// Recv implements tap.Device: it gives the frames for us and for everybody, and
// forwards the others.
func (p *port) Recv(b []byte) (int, syscall.Errno) {
	for {
		n, errno := p.Stream.Recv(b)
		if errno != 0 {
			return n, errno
		}
		frame := b[:n]
		if !p.spoke.Load() && !isDHCP(frame) {
			p.lan.speaks(p)
		}
		if dst := packet.MAC(frame); dst == p.lan.serverMAC || dst == packet.Broadcast || dst == p.mac {
			return n, 0
		}
		p.lan.forward(p, frame)
	}
}

// Send implements tap.Device. A frame beyond the MTU is more than the client was told
// to expect.
func (p *port) Send(hdr, payload []byte) syscall.Errno {
	if len(hdr)+len(payload) > p.mtu+packet.EthLen {
		return syscall.EMSGSIZE
	}
	return p.Stream.Send(hdr, payload)
}

// Flush implements tap.Queue. Frames from other guests that find no room are lost, as
// on any network.
func (p *port) Flush() (more bool) {
	for rest := p.inbox.take(); len(rest) > 0; {
		var frame []byte
		frame, rest = nextFrame(rest)
		_ = p.Stream.Send(frame, nil)
	}
	return p.Stream.Flush()
}

// deliver hands over a frame from another guest.
func (p *port) deliver(frame []byte) {
	if p.inbox.put(frame) {
		p.wake()
	}
}

// isDHCP tells whether a frame is a message for a DHCP server. The checksum of its
// header, which may be missing, does not matter here.
func isDHCP(frame []byte) bool {
	const dhcpServer = 67
	if binary.BigEndian.Uint16(frame[12:]) != packet.EtherTypeIP4 {
		return false
	}
	l3 := frame[packet.EthLen:]
	if len(l3) < packet.IPv4Len || l3[9] != packet.ProtoUDP {
		return false
	}
	hdrLen := int(l3[0]&0xf) * 4
	if len(l3) < hdrLen {
		return false
	}
	u, ok := packet.ParseUDP(l3[hdrLen:])
	return ok && u.DstPort() == dhcpServer
}
