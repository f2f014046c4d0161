package sys

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SockAddr is a sockaddr_in or sockaddr_in6, ready for the kernel.
type SockAddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	len uint32
}

// MakeSockAddr encodes an address, IPv4 in its mapped form, with a port in
// host byte order. scope is the interface index of a link-local IPv6 address, else 0.
func MakeSockAddr(addr [16]byte, port uint16, scope uint32) (s SockAddr) {
	if is4(addr) {
		binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET)
		copy(s.raw[4:], addr[12:])
		s.len = unix.SizeofSockaddrInet4
	} else {
		binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET6)
		copy(s.raw[8:], addr[:])
		binary.NativeEndian.PutUint32(s.raw[24:], scope)
		s.len = unix.SizeofSockaddrInet6
	}
	binary.BigEndian.PutUint16(s.raw[2:], port)
	return s
}

// AddrPort decodes s; IPv4 comes back in its mapped form. An unknown family
// gives zeroes.
func (s *SockAddr) AddrPort() (addr [16]byte, port uint16) {
	switch binary.NativeEndian.Uint16(s.raw[0:]) {
	case unix.AF_INET:
		addr[10], addr[11] = 0xff, 0xff
		copy(addr[12:], s.raw[4:8])
	case unix.AF_INET6:
		copy(addr[:], s.raw[8:24])
	default:
		return addr, 0
	}
	return addr, binary.BigEndian.Uint16(s.raw[2:])
}

// Scope is the interface index of a link-local IPv6 address, else 0.
func (s *SockAddr) Scope() uint32 {
	if binary.NativeEndian.Uint16(s.raw[0:]) != unix.AF_INET6 {
		return 0
	}
	return binary.NativeEndian.Uint32(s.raw[24:])
}

// Netip decodes s for logs and set-up.
func (s *SockAddr) Netip() netip.AddrPort {
	a, port := s.AddrPort()
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port)
}

func is4(a [16]byte) bool {
	return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff}
}

// Family is AF_INET or AF_INET6 for an address in mapped form.
func Family(addr [16]byte) int {
	if is4(addr) {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Socket makes a non-blocking, close-on-exec socket. typ is SOCK_STREAM or
// SOCK_DGRAM, proto an IP protocol or 0.
func Socket(family, typ, proto int) (int, syscall.Errno) {
	fd, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family),
		uintptr(typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), uintptr(proto))
	return int(fd), errno
}

// Bind binds fd to a.
func Bind(fd int, a *SockAddr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.len))
	return errno
}

// Connect starts connecting fd to a: EINPROGRESS for TCP.
func Connect(fd int, a *SockAddr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.len))
	return errno
}

// Listen makes fd a listening socket.
func Listen(fd, backlog int) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_LISTEN, uintptr(fd), uintptr(backlog), 0)
	return errno
}

// Accept takes a connection from the listening socket fd; peer is its other end.
func Accept(fd int, peer *SockAddr) (int, syscall.Errno) {
	peer.len = uint32(len(peer.raw))
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&peer.raw)),
		uintptr(unsafe.Pointer(&peer.len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// LocalAddr fills a with the address that fd is bound to.
func LocalAddr(fd int, a *SockAddr) syscall.Errno {
	a.len = uint32(len(a.raw))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)),
		uintptr(unsafe.Pointer(&a.len)))
	return errno
}

// SelfConnected tells whether fd, which is connected to peer or about to be, is its own
// peer: so it is when the kernel chooses as its port that of peer, on which nobody
// listens then. TCP connects such a socket too (RFC 9293 section 3.5, simultaneous open).
func SelfConnected(fd int, peer *SockAddr) bool {
	var own SockAddr
	return LocalAddr(fd, &own) == 0 && own.Netip() == peer.Netip()
}

// Shutdown closes one or both directions of fd; how is SHUT_RD, SHUT_WR or SHUT_RDWR.
func Shutdown(fd, how int) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
	return errno
}

// Recv receives into b with MSG_ flags.
func Recv(fd int, b []byte, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
	return int(n), errno
}

// Discard takes n bytes off the receive queue of a TCP socket without copying
// them (MSG_TRUNC, tcp(7)).
func Discard(fd, n int) (int, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n),
		unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	return int(r), errno
}

// Send sends b with MSG_ flags on a connected socket.
func Send(fd int, b []byte, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
	return int(n), errno
}

// SendIovecs sends the list v with MSG_ flags on a connected socket.
func SendIovecs(fd int, v *Iovecs, flags int) (int, syscall.Errno) {
	if len(v.iov) == 1 { // cheaper, and the usual case for small requests
		return Send(fd, unsafe.Slice(v.iov[0].Base, int(v.iov[0].Len)), flags)
	}
	var hdr unix.Msghdr
	hdr.Iov = unsafe.SliceData(v.iov)
	hdr.SetIovlen(len(v.iov))
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&hdr)), uintptr(flags))
	return int(n), errno
}

// SetInt sets an int socket option.
func SetInt(fd, level, opt, value int) syscall.Errno {
	v := int32(value)
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&v)), 4, 0)
	return errno
}

// GetInt reads an int socket option.
func GetInt(fd, level, opt int) (int, syscall.Errno) {
	var v int32
	l := uint32(4)
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&l)), 0)
	return int(v), errno
}

// setString sets a string socket option, such as SO_BINDTODEVICE.
func setString(fd, level, opt int, value string) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(unsafe.StringData(value))), uintptr(len(value)), 0)
	return errno
}

// SocketError takes the pending error of fd (SO_ERROR).
func SocketError(fd int) syscall.Errno {
	v, errno := GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if errno != 0 {
		return errno
	}
	return syscall.Errno(v)
}

// MemInfo is what SO_MEMINFO tells of a socket's memory, in bytes of the
// kernel's own accounting (payload plus overhead). Linux 4.12.
type MemInfo struct {
	RmemAlloc, Rcvbuf, WmemAlloc, Sndbuf, FwdAlloc, WmemQueued, Optmem, Backlog, Drops uint32
}

// SocketMemInfo reads the memory counters of fd.
func SocketMemInfo(fd int, m *MemInfo) syscall.Errno {
	l := uint32(unsafe.Sizeof(*m))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(m)), uintptr(unsafe.Pointer(&l)), 0)
	return errno
}
