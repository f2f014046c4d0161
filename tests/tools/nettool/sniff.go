package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
)

// ethPIPSwapped is ETH_P_IP in network byte order, as packet(7) wants it.
const ethPIPSwapped = 0x0008

// runEchoID prints the identifier of the first IPv4 echo request that arrives on
// any interface. It stands in for a packet capture where tcpdump cannot run: in
// a user namespace with one ID, tcpdump fails to change its user.
func runEchoID(args []string) error {
	if len(args) != 0 {
		return fmt.Errorf("want no arguments, got %q", args)
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, ethPIPSwapped)
	if err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	fmt.Fprintln(os.Stderr, "ready")
	packet := make([]byte, 65536)
	for {
		n, _, err := syscall.Recvfrom(fd, packet, 0)
		if err != nil {
			return fmt.Errorf("receive packet: %w", err)
		}
		if id, ok := echoID(packet[:n]); ok {
			fmt.Println(id)
			return nil
		}
	}
}

// echoID returns the identifier of an IPv4 packet that is an ICMP echo request
// (RFC 792).
func echoID(packet []byte) (uint16, bool) {
	if len(packet) < 20 || packet[9] != syscall.IPPROTO_ICMP {
		return 0, false
	}
	message := packet[min(len(packet), int(packet[0]&0x0f)*4):]
	if len(message) < 8 || message[0] != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint16(message[4:]), true
}
