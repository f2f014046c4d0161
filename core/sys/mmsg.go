package sys

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr (recvmmsg(2)).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// slotSkew keeps the slots of a RecvBatch from starting at equal offsets of the
// cache: with a stride of 64 KiB they would all fall into the same sets.
const slotSkew = 17 * 64

// RecvBatch receives many datagrams with one call. Its memory is sized once;
// payloads, addresses and control messages are valid until the next Recv.
type RecvBatch struct {
	msgs    []mmsghdr
	iovs    []unix.Iovec
	names   []SockAddr
	control []byte
	buf     []byte
	slotLen int
}

// NewRecvBatch makes a batch of slots datagrams of at most slotLen bytes; what is
// longer is cut.
func NewRecvBatch(slots, slotLen int) *RecvBatch {
	b := &RecvBatch{
		msgs:    make([]mmsghdr, slots),
		iovs:    make([]unix.Iovec, slots),
		names:   make([]SockAddr, slots),
		control: make([]byte, slots*controlLen),
		slotLen: slotLen,
	}
	b.buf = Slab[byte](b, slots*(slotLen+slotSkew))
	for i := range b.msgs {
		b.iovs[i].Base = &b.slot(i)[0]
		b.iovs[i].SetLen(slotLen)
		h := &b.msgs[i].hdr
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Name = &b.names[i].raw[0]
		h.Control = &b.control[i*controlLen]
	}
	return b
}

func (b *RecvBatch) slot(i int) []byte {
	off := i * (b.slotLen + slotSkew)
	return b.buf[off : off+b.slotLen : off+b.slotLen]
}

// Recv receives up to limit datagrams from fd with MSG_ flags, without waiting.
func (b *RecvBatch) Recv(fd, limit, flags int) (int, syscall.Errno) {
	limit = min(limit, len(b.msgs))
	for i := range limit {
		h := &b.msgs[i].hdr
		h.Namelen = uint32(len(b.names[i].raw))
		h.SetControllen(controlLen)
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b.msgs))),
		uintptr(limit), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	for i := range int(n) {
		b.names[i].len = b.msgs[i].hdr.Namelen
	}
	return int(n), 0
}

// RecvErrors takes errors out of the queue of fd (IP_RECVERR) and returns how many.
// When the queue is empty it takes the pending error, too: one without details,
// for which the queue had no room, would otherwise be reported for ever.
func (b *RecvBatch) RecvErrors(fd int) int {
	n, errno := b.Recv(fd, len(b.msgs), unix.MSG_ERRQUEUE)
	if errno != 0 {
		n = 0
	}
	if n < len(b.msgs) {
		_ = SocketError(fd)
	}
	return n
}

// Payload is datagram i, cut to the slot.
func (b *RecvBatch) Payload(i int) []byte { return b.slot(i)[:min(int(b.msgs[i].len), b.slotLen)] }

// From is the source of datagram i; in the error queue, the destination of
// the datagram that met the error.
func (b *RecvBatch) From(i int) *SockAddr { return &b.names[i] }

// Truncated tells whether datagram i was longer than its slot.
func (b *RecvBatch) Truncated(i int) bool { return b.msgs[i].hdr.Flags&unix.MSG_TRUNC != 0 }

// Control decodes the control messages of datagram i into c.
func (b *RecvBatch) Control(i int, c *Control) {
	n := min(int(b.msgs[i].hdr.Controllen), controlLen)
	c.Parse(b.control[i*controlLen : i*controlLen+n])
}

// SendBatch sends many datagrams through one socket with one call. It is filled
// message by message; the slices given to Add must stay valid until Send.
type SendBatch struct {
	msgs    []mmsghdr
	iovs    []unix.Iovec
	names   []SockAddr
	control []byte
	nMsgs   int
	nIovs   int
}

// NewSendBatch makes a batch of at most msgs messages, gathered from at most iovs slices.
func NewSendBatch(msgs, iovs int) *SendBatch {
	return &SendBatch{
		msgs:    make([]mmsghdr, msgs),
		iovs:    make([]unix.Iovec, iovs),
		names:   make([]SockAddr, msgs),
		control: make([]byte, msgs*controlLen),
	}
}

// Reset empties the batch.
func (b *SendBatch) Reset() { b.nMsgs, b.nIovs = 0, 0 }

// Len is the number of messages.
func (b *SendBatch) Len() int { return b.nMsgs }

// Full tells whether there is no room for another message of one slice.
func (b *SendBatch) Full() bool { return b.nMsgs == len(b.msgs) || b.nIovs == len(b.iovs) }

// Begin starts a message, to a connected socket's peer if to is nil. The batch
// must not be full.
func (b *SendBatch) Begin(to *SockAddr) {
	h := &b.msgs[b.nMsgs].hdr
	*h = unix.Msghdr{}
	if to != nil {
		b.names[b.nMsgs] = *to
		h.Name = &b.names[b.nMsgs].raw[0]
		h.Namelen = to.len
	}
	b.nMsgs++
}

// Add appends p to the message begun last and tells whether there was room.
func (b *SendBatch) Add(p []byte) bool {
	if b.nIovs == len(b.iovs) {
		return false
	}
	v := &b.iovs[b.nIovs]
	v.Base = unsafe.SliceData(p)
	v.SetLen(len(p))
	b.nIovs++
	h := &b.msgs[b.nMsgs-1].hdr
	if h.Iov == nil {
		h.Iov = v
	}
	h.SetIovlen(int(h.Iovlen) + 1)
	return true
}

// SetSegment has the kernel cut the message begun last into datagrams of size
// bytes (UDP_SEGMENT, Linux 4.18).
func (b *SendBatch) SetSegment(size int) {
	binary.NativeEndian.PutUint16(b.addControl(unix.SOL_UDP, unix.UDP_SEGMENT, 2), uint16(size))
}

// SetSource chooses the source address, IPv4 in its mapped form, and if ifIndex is
// not zero the interface of the message begun last. family is that of the socket.
func (b *SendBatch) SetSource(family int, src [16]byte, ifIndex uint32) {
	if family == unix.AF_INET {
		info := b.addControl(unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		binary.NativeEndian.PutUint32(info, ifIndex)
		copy(info[4:8], src[12:])
		return
	}
	info := b.addControl(unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	copy(info, src[:])
	binary.NativeEndian.PutUint32(info[16:], ifIndex)
}

// addControl appends a control message and returns its n bytes of data.
func (b *SendBatch) addControl(level, typ, n int) []byte {
	i := b.nMsgs - 1
	h := &b.msgs[i].hdr
	used := int(h.Controllen)
	space := b.control[i*controlLen+used:][:unix.CmsgSpace(n)]
	clear(space)
	putControlHeader(space, level, typ, n)
	h.Control = &b.control[i*controlLen]
	h.SetControllen(used + len(space))
	return space[unix.CmsgLen(0):]
}

// Send sends the messages from index first on and returns how many were taken. An
// errno belongs to message first: the kernel stops at the first failure.
func (b *SendBatch) Send(fd, first int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[first])),
		uintptr(b.nMsgs-first), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
