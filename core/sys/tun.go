package sys

import (
	"errors"
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

// The steps of TapOpen.
const (
	StepOpenTun = "open /dev/net/tun"
	StepSetIff  = "TUNSETIFF ioctl on /dev/net/tun"
)

// TapOpen makes a tap interface in the network namespace of the calling thread.
// The kernel fills in a "%d" in name; the real name comes back. step names the
// call that failed.
func TapOpen(name string, vnetHdr bool) (fd int, ifName string, step string, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", StepOpenTun, err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		Close(fd)
		return -1, "", StepSetIff, err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if vnetHdr {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		Close(fd)
		return -1, "", StepSetIff, err
	}
	return fd, ifr.Name(), "", nil
}

// TapQuery gives the name of the interface behind fd and whether its frames have a
// virtio-net header. EBADFD is a descriptor that has none, EINVAL one that is no tap
// or has another header.
func TapQuery(fd int) (ifName string, vnetHdr bool, errno syscall.Errno) {
	ifr, err := unix.NewIfreq("")
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr)
	}
	if err != nil {
		errors.As(err, &errno)
		return "", false, errno
	}
	flags := ifr.Uint16()
	if flags&unix.IFF_TAP == 0 || flags&unix.IFF_NO_PI == 0 {
		return "", false, unix.EINVAL
	}
	return ifr.Name(), flags&unix.IFF_VNET_HDR != 0, 0
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
