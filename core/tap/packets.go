package tap

import (
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// packetBuf is what a socket of frames asks for as send buffer, in bytes; the kernel
// grants up to net.core.wmem_max.
const packetBuf = 1 << 20

// Packets is a link over a connected socket that keeps messages apart, like
// SOCK_SEQPACKET: each is one frame, without offloads.
type Packets struct{ fd, mtu int }

var _ Device = (*Packets)(nil)

// NewPackets makes a link over fd, which it owns from then on, to a guest that takes
// packets of up to mtu bytes.
func NewPackets(fd, mtu int) *Packets {
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, packetBuf)
	return &Packets{fd: fd, mtu: mtu}
}

// FD implements Device.
func (p *Packets) FD() int { return p.fd }

// Features implements Device: there are no offloads.
func (p *Packets) Features() Features { return Features{MTU: p.mtu} }

// Recv implements Device. EPIPE: the other end is gone.
func (p *Packets) Recv(b []byte) (int, syscall.Errno) {
	n, errno := sys.Recv(p.fd, b, syscall.MSG_DONTWAIT)
	if errno == 0 && n == 0 {
		errno = syscall.EPIPE
	}
	return n, errno
}

// Send implements Device.
func (p *Packets) Send(hdr, payload []byte) syscall.Errno {
	if len(payload) == 0 {
		_, errno := sys.Send(p.fd, hdr, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		return errno
	}
	_, errno := sys.Write2(p.fd, hdr, payload)
	return errno
}

// Close implements Device.
func (p *Packets) Close() { sys.Close(p.fd) }
