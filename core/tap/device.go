// Package tap is the L2 link to the guest: devices that move frames (a kernel
// tap), the virtio-net header with its offloads, and the Link that protocol packages
// send packets through.
//
// Everything is owned by the event loop goroutine after set-up.
//
// Import level: above pcap, below fwd.
package tap

import (
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
)

// Features tells what a device takes off our hands.
type Features struct {
	// VnetHdr: every frame is preceded by a virtio-net header. All other
	// features need it.
	VnetHdr bool
	// Checksum: transport checksums may be left partial, both ways.
	Checksum bool
	// TSO4, TSO6: TCP super-frames of up to 64 KiB, both ways.
	TSO4, TSO6 bool
	// USO: UDP super-frames (Linux 6.2), both ways.
	USO bool
	// Unsummed: the guest may leave checksums zero, that of the IPv4 header
	// included, because nothing on the way could damage a frame.
	Unsummed bool
	// MTU is the longest packet that the guest takes, in bytes; 0: any. The kernel
	// takes what the MTU of its interface would not let out.
	MTU int
}

// Device moves single frames. Implementations: TUN, Stream, and coretest's in-memory
// tap.
type Device interface {
	// FD is what the loop watches for readiness.
	FD() int
	// Features are fixed for the life of the device.
	Features() Features
	// Recv reads one frame, preceded by its virtio-net header if the device has
	// the feature, into b; EAGAIN if there is none. A frame longer than b is cut.
	Recv(b []byte) (int, syscall.Errno)
	// Send writes hdr followed by payload as one frame. Neither slice is kept.
	// EAGAIN, ENOBUFS: the queue is full; EIO: the link is down.
	Send(hdr, payload []byte) syscall.Errno
	// Close releases the device.
	Close()
}

// Queue is a Device that collects what is sent, to pass it on in larger pieces. It may
// also hold frames that were received with others, and for which FD shows nothing:
// Recv is called until it gives EAGAIN.
type Queue interface {
	Device
	// Flush passes on what was sent. more: there is some left, and Flush is to be
	// called again when FD is ready for writing.
	Flush() (more bool)
}

// RecvLen is the size of a buffer that holds any frame: virtio-net header,
// Ethernet header and the longest packet, of IPv6, with room to see that one is too
// long.
const RecvLen = VnetLen + packet.EthLen + packet.MaxLen + 8
