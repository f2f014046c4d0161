package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offload bits of TUNSETOFFLOAD (linux/if_tun.h).
const (
	TunCsum = unix.TUN_F_CSUM
	TunTSO4 = unix.TUN_F_TSO4
	TunTSO6 = unix.TUN_F_TSO6
	TunUSO4 = 0x20 // Linux 6.2
	TunUSO6 = 0x40 // Linux 6.2
)

// TapOpen makes a tap interface in the network namespace of the calling thread.
// The kernel fills in a "%d" in name; the real name comes back. step names the
// call that failed.
func TapOpen(name string, vnetHdr bool) (fd int, ifName string, step string, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", "open /dev/net/tun", err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		Close(fd)
		return -1, "", "TUNSETIFF ioctl on /dev/net/tun", err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if vnetHdr {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		Close(fd)
		return -1, "", "TUNSETIFF ioctl on /dev/net/tun", err
	}
	return fd, ifr.Name(), "", nil
}

// TapSetVnetLen sets the length of the virtio-net header in bytes.
func TapSetVnetLen(fd, n int) syscall.Errno {
	v := int32(n)
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETVNETHDRSZ, uintptr(unsafe.Pointer(&v)))
	return errno
}

// TapSetVnetLE makes the fields of the virtio-net header little endian.
func TapSetVnetLE(fd int) syscall.Errno {
	v := int32(1)
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETVNETLE, uintptr(unsafe.Pointer(&v)))
	return errno
}

// TapSetOffload tells the kernel which super-frames and partial checksums we
// take; EINVAL for bits that it does not know.
func TapSetOffload(fd int, bits uint) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETOFFLOAD, uintptr(bits))
	return errno
}
