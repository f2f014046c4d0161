package sys

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlLen is the room for control messages of one datagram, in bytes: enough
// for packet information of both families, a segment size and an error with
// its offender.
const controlLen = 192

// Origins of an ExtendedErr (linux/errqueue.h).
const (
	OriginLocal = unix.SO_EE_ORIGIN_LOCAL
	OriginICMP  = unix.SO_EE_ORIGIN_ICMP
	OriginICMP6 = unix.SO_EE_ORIGIN_ICMP6
)

// sizeofExtendedErr is the size of struct sock_extended_err; the offender's
// address follows it.
const sizeofExtendedErr = 16

// ExtendedErr is an error from a socket's error queue (struct sock_extended_err, ip(7)).
type ExtendedErr struct {
	Errno  syscall.Errno
	Origin uint8
	// Type and Code are those of the ICMP or ICMPv6 message, by Origin.
	Type, Code uint8
	// Info is the MTU for EMSGSIZE.
	Info uint32
	// Offender is who sent the message, IPv4 in its mapped form; zero if unknown.
	Offender [16]byte
}

// Control is what control messages said about one received datagram.
type Control struct {
	// Segment is the size of the datagrams that the kernel put together
	// (UDP_GRO); 0: it is a single one.
	Segment int
	// Dst is the address that the datagram was sent to, Local the address of
	// ours that it was taken for (the same except for multicast and broadcast;
	// zero for IPv6). Zero: unknown.
	Dst, Local [16]byte
	// IfIndex is the interface that the datagram came in by.
	IfIndex uint32
	// HasErr: the message is from the error queue.
	HasErr bool
	Err    ExtendedErr
}

// Parse decodes b. Unknown messages are skipped, malformed ones end the walk.
func (c *Control) Parse(b []byte) {
	*c = Control{}
	for len(b) >= unix.SizeofCmsghdr {
		msgLen, level, typ := controlHeader(b)
		if msgLen < unix.SizeofCmsghdr || msgLen > len(b) {
			return
		}
		c.one(level, typ, b[unix.SizeofCmsghdr:msgLen])
		b = b[min(len(b), unix.CmsgSpace(msgLen-unix.SizeofCmsghdr)):]
	}
}

func (c *Control) one(level, typ int, data []byte) {
	switch {
	case level == unix.SOL_UDP && typ == unix.UDP_GRO && len(data) >= 4:
		c.Segment = max(0, int(int32(binary.NativeEndian.Uint32(data))))
	case level == unix.SOL_IP && typ == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		c.Local, c.Dst, c.IfIndex = mapped(data[4:8]), mapped(data[8:12]), binary.NativeEndian.Uint32(data)
	case level == unix.SOL_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.Dst, c.IfIndex = [16]byte(data[:16]), binary.NativeEndian.Uint32(data[16:])
	case level == unix.SOL_IP && typ == unix.IP_RECVERR, level == unix.SOL_IPV6 && typ == unix.IPV6_RECVERR:
		if len(data) >= sizeofExtendedErr {
			c.HasErr = true
			c.Err.parse(data)
		}
	}
}

// parse decodes a struct sock_extended_err and the sockaddr behind it.
func (e *ExtendedErr) parse(b []byte) {
	e.Errno = syscall.Errno(binary.NativeEndian.Uint32(b))
	e.Origin, e.Type, e.Code = b[4], b[5], b[6]
	e.Info = binary.NativeEndian.Uint32(b[8:])
	var offender SockAddr
	copy(offender.raw[:], b[sizeofExtendedErr:])
	e.Offender, _ = offender.AddrPort()
}

func mapped(b []byte) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b)
	return a
}

// wordLen is the size of the length field of struct cmsghdr.
const wordLen = int(unsafe.Sizeof(uintptr(0)))

func controlHeader(b []byte) (msgLen, level, typ int) {
	if wordLen == 8 {
		// Beyond int32 is malformed whatever it says; the caller compares with len.
		msgLen = int(min(binary.NativeEndian.Uint64(b), 1<<31-1))
	} else {
		msgLen = int(min(binary.NativeEndian.Uint32(b), 1<<31-1))
	}
	level = int(int32(binary.NativeEndian.Uint32(b[wordLen:])))
	typ = int(int32(binary.NativeEndian.Uint32(b[wordLen+4:])))
	return msgLen, level, typ
}

func putControlHeader(b []byte, level, typ, n int) {
	if wordLen == 8 {
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(n)))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(unix.CmsgLen(n)))
	}
	binary.NativeEndian.PutUint32(b[wordLen:], uint32(level))
	binary.NativeEndian.PutUint32(b[wordLen+4:], uint32(typ))
}
