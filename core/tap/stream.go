package tap

import (
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

const (
	// streamIn is how many bytes are read with one system call: some of the longest
	// frames, or a batch of those of an ordinary network.
	streamIn = 256 << 10
	// streamOut is how many bytes wait for a peer that is slower than we are: a
	// burst of the longest datagrams, or what one connection of TCP has in flight.
	// Memory is only touched as far as it fills up.
	streamOut = 1 << 20
)

// Stream is a link to the guest over a connected stream socket: frames with their
// lengths in front (Prefix), without offloads.
//
// What is sent is queued until Flush, in a buffer that refuses (ENOBUFS) what it has
// no room for: a peer that does not read delays nobody, and never finds a frame
// cut. A stream that cannot go on is down for what is sent (EIO); Recv tells why.
type Stream struct {
	fd  int
	in  frameReader
	out frameQueue
	// drained: the last read took all that there was.
	drained bool
	// full: the socket has not taken all that it was given.
	full bool
	// down: the socket takes nothing any more.
	down bool
}

var _ Queue = (*Stream)(nil)

// NewStream makes a link over fd, a connected, non-blocking stream socket, which it
// owns from then on.
func NewStream(fd int, prefix Prefix) *Stream {
	// The kernel grants what net.core.wmem_max allows.
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, streamOut)
	s := &Stream{fd: fd}
	s.in = frameReader{prefix: prefix, buf: sys.Slab[byte](s, streamIn)}
	s.out = frameQueue{prefix: prefix, buf: sys.Slab[byte](s, streamOut)}
	return s
}

// FD implements Device.
func (s *Stream) FD() int { return s.fd }

// Features implements Device: there are none.
func (s *Stream) Features() Features { return Features{} }

// Recv implements Device. EPIPE is the end of the stream, EPROTO one that makes no
// sense; both are final.
func (s *Stream) Recv(b []byte) (int, syscall.Errno) {
	for {
		frame, errno := s.in.next()
		if errno == 0 {
			return copy(b, frame), 0
		}
		if errno != syscall.EAGAIN {
			return 0, errno
		}
		if errno := s.read(); errno != 0 {
			return 0, errno
		}
	}
}

// read takes what has come on the socket. A read that got less than it could saves
// the one that would find nothing.
func (s *Stream) read() syscall.Errno {
	if s.drained {
		s.drained = false
		return syscall.EAGAIN
	}
	room := s.in.room()
	n, errno := sys.Read(s.fd, room)
	switch {
	case errno != 0:
		return errno
	case n == 0:
		return syscall.EPIPE
	}
	s.in.received(n)
	s.drained = n < len(room)
	return 0
}

// Send implements Device.
func (s *Stream) Send(hdr, payload []byte) syscall.Errno {
	switch {
	case s.down:
		return syscall.EIO
	case len(hdr)+len(payload) > maxStreamFrame:
		return syscall.EMSGSIZE
	case s.out.put(hdr, payload):
		return 0
	case s.full || s.Flush() || !s.out.put(hdr, payload):
		return syscall.ENOBUFS
	}
	return 0
}

// Flush implements Queue.
func (s *Stream) Flush() (more bool) {
	b := s.out.pending()
	if len(b) == 0 || s.down {
		return false
	}
	n, errno := sys.Send(s.fd, b, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	switch errno {
	case 0:
		s.out.taken(n)
	case syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS, syscall.ENOMEM:
		n = 0
	default:
		s.down = true
		return false
	}
	s.full = n < len(b)
	return s.full
}

// Close implements Device. What is still queued is lost.
func (s *Stream) Close() { sys.Close(s.fd) }
