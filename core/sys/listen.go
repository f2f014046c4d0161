package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// SetFreeBind lets fd be bound to an address that the host does not have (yet):
// IP_FREEBIND or IPV6_FREEBIND.
func SetFreeBind(fd, family int) syscall.Errno {
	if family == unix.AF_INET {
		return SetInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	}
	return SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
}

// SetTransparent lets fd be bound to addresses of others, for good: IP_TRANSPARENT or
// IPV6_TRANSPARENT. Needs CAP_NET_RAW or CAP_NET_ADMIN over the network namespace.
func SetTransparent(fd, family int) syscall.Errno {
	if family == unix.AF_INET {
		return SetInt(fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
	}
	return SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1)
}

// SetIPv6Only tells whether the IPv6 socket fd keeps out IPv4.
func SetIPv6Only(fd int, only bool) syscall.Errno {
	v := 0
	if only {
		v = 1
	}
	return SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v)
}
