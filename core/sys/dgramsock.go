package sys

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// Family is AF_INET or AF_INET6, as the sockaddr says.
func (s *SockAddr) Family() int { return int(binary.NativeEndian.Uint16(s.raw[0:])) }

// MakeSockAddr6 is MakeSockAddr for sockets of AF_INET6 that serve both
// families: IPv4 addresses stay in their mapped form.
func MakeSockAddr6(addr [16]byte, port uint16, scope uint32) (s SockAddr) {
	binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET6)
	binary.BigEndian.PutUint16(s.raw[2:], port)
	copy(s.raw[8:], addr[:])
	binary.NativeEndian.PutUint32(s.raw[24:], scope)
	s.len = unix.SizeofSockaddrInet6
	return s
}

// SetRecvErr has ICMP errors queued with details for MSG_ERRQUEUE. A socket of
// AF_INET6 gets them for both families.
func SetRecvErr(fd, family int) syscall.Errno {
	return both(fd, family, unix.IP_RECVERR, unix.IPV6_RECVERR, 1)
}

// SetPktInfo has the destination of received datagrams reported (IP_PKTINFO,
// IPV6_RECVPKTINFO). A socket of
// AF_INET6 reports IPv4 ones in both forms, of which only that of IPv4 tells a
// broadcast.
func SetPktInfo(fd, family int) syscall.Errno {
	return both(fd, family, unix.IP_PKTINFO, unix.IPV6_RECVPKTINFO, 1)
}

// SetMulticastAll with false restricts a socket to the groups that it joined
// itself. IPv6 has it since Linux 4.20.
func SetMulticastAll(fd, family int, on bool) syscall.Errno {
	v := 0
	if on {
		v = 1
	}
	return both(fd, family, unix.IP_MULTICAST_ALL, unix.IPV6_MULTICAST_ALL, v)
}

// both sets an option of IPv4, and on sockets of AF_INET6 also that of IPv6.
func both(fd, family, opt4, opt6, value int) syscall.Errno {
	errno := SetInt(fd, unix.SOL_IP, opt4, value)
	if family == unix.AF_INET6 {
		errno = SetInt(fd, unix.SOL_IPV6, opt6, value)
	}
	return errno
}

// SetUDPGRO lets the kernel hand over several datagrams of a flow as one, with
// their size in Control.Segment (Linux 5.0).
func SetUDPGRO(fd int) syscall.Errno { return SetInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }

// SetTTL sets TTL or hop limit of what fd sends to unicast or multicast addresses.
func SetTTL(fd, family, ttl int, multicast bool) syscall.Errno {
	level, opt := unix.SOL_IP, unix.IP_TTL
	switch {
	case family == unix.AF_INET && multicast:
		opt = unix.IP_MULTICAST_TTL
	case family == unix.AF_INET6:
		level, opt = unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS
		if multicast {
			opt = unix.IPV6_MULTICAST_HOPS
		}
	}
	return SetInt(fd, level, opt, ttl)
}

// TTL is the TTL or hop limit that fd gives to unicast packets.
func TTL(fd, family int) (int, syscall.Errno) {
	if family == unix.AF_INET {
		return GetInt(fd, unix.SOL_IP, unix.IP_TTL)
	}
	return GetInt(fd, unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS)
}

// BindToDevice restricts fd to the interface name (SO_BINDTODEVICE; ordinary
// users may since Linux 5.7).
func BindToDevice(fd int, name string) syscall.Errno {
	return setString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, name)
}
