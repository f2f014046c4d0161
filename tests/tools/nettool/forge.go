package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// EtherTypes.
const (
	etherTypeIP4 = 0x0800
	etherTypeIP6 = 0x86dd
)

// firstForgedPort is the source port of the first packet of a run. The next has the
// next one, so that each begins a flow of its own, but where one port is asked for.
const firstForgedPort = 20001

// forger sends packets on a link that no socket of the kernel would: a packet socket
// asks nobody whether a source is ours.
type forger struct {
	fd   int
	link *syscall.SockaddrLinklayer
	port uint16
	step uint16 // between source ports
}

// runForge sends a SYN and a datagram from each of -from to each address of the same
// family.
func runForge(args []string) error {
	f := newClient("forge")
	from := f.String("from", "", "source addresses, with commas between them")
	dev := f.String("dev", "", "interface to send on")
	port := f.Uint("port", 0, "source port of all packets")
	mac := f.String("mac", "02:00:00:00:00:01", "link-layer address to send to")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := newForger(*dev, *mac)
	if err != nil {
		return err
	}
	defer syscall.Close(s.fd)
	if *port != 0 {
		s.port, s.step = uint16(*port), 0
	}
	for source := range strings.SplitSeq(*from, ",") {
		src, err := netip.ParseAddr(source)
		if err != nil {
			return err
		}
		for _, target := range f.Args() {
			dst, err := netip.ParseAddrPort(target)
			if err != nil {
				return err
			}
			if src.Is4() != dst.Addr().Is4() {
				continue
			}
			if err := s.send(src, dst); err != nil {
				return fmt.Errorf("send from %v to %v: %w", src, dst, err)
			}
		}
	}
	return nil
}

func newForger(dev, mac string) (*forger, error) {
	link, err := net.InterfaceByName(dev)
	if err != nil {
		return nil, err
	}
	to, err := net.ParseMAC(mac)
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	ll := &syscall.SockaddrLinklayer{Ifindex: link.Index, Halen: uint8(len(to))}
	copy(ll.Addr[:], to)
	return &forger{fd: fd, link: ll, port: firstForgedPort, step: 1}, nil
}

// send sends one packet of each protocol.
func (s *forger) send(src netip.Addr, dst netip.AddrPort) error {
	for _, proto := range []uint8{syscall.IPPROTO_TCP, syscall.IPPROTO_UDP} {
		etherType := uint16(etherTypeIP6)
		if src.Is4() {
			etherType = etherTypeIP4
		}
		s.link.Protocol = etherType<<8 | etherType>>8 // network order
		if err := syscall.Sendto(s.fd, forged(netip.AddrPortFrom(src, s.port), dst, proto), 0, s.link); err != nil {
			return err
		}
		s.port += s.step
	}
	return nil
}

// forged is a SYN (RFC 9293 section 3.1) or a datagram that asks for our address, in an
// IP packet.
func forged(from, to netip.AddrPort, proto uint8) []byte {
	l4 := binary.BigEndian.AppendUint16(nil, from.Port())
	l4 = binary.BigEndian.AppendUint16(l4, to.Port())
	sumAt := 6
	if proto == syscall.IPPROTO_TCP {
		l4 = append(l4, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 2, 0xff, 0xff, 0, 0, 0, 0)
		sumAt = 16
	} else {
		l4 = append(l4, 0, 8+5, 0, 0)
		l4 = append(l4, "peer\n"...)
	}
	addresses := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	pseudo := append(addresses, 0, proto, 0, byte(len(l4)))
	binary.BigEndian.PutUint16(l4[sumAt:], internetSum(append(pseudo, l4...)))
	return append(ipHeader(addresses, proto, len(l4)), l4...)
}

// ipHeader is that of IPv4 (RFC 791) or IPv6 (RFC 8200), by the length of addresses.
func ipHeader(addresses []byte, proto uint8, payloadLen int) []byte {
	if len(addresses) == 2*16 {
		return append([]byte{6 << 4, 0, 0, 0, 0, byte(payloadLen), proto, 64}, addresses...)
	}
	b := append([]byte{4<<4 | 5, 0, 0, byte(20 + payloadLen), 0, 0, 0, 0, 64, proto, 0, 0}, addresses...)
	binary.BigEndian.PutUint16(b[10:], internetSum(b))
	return b
}

// internetSum is the checksum of RFC 1071.
func internetSum(b []byte) uint16 {
	sum := uint32(0)
	for i, c := range b {
		sum += uint32(c) << (8 * (^i & 1))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// runWitness prints "ready", and then a line for each connection and each datagram that
// comes to an address: protocol and source. It answers nothing.
func runWitness(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("want at least one address")
	}
	for _, addr := range args {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			return err
		}
		go witnessTCP(l)
		go witnessUDP(u)
	}
	fmt.Println("ready")
	select {}
}

func witnessTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Println("tcp", hostOf(c.RemoteAddr()))
		c.Close()
	}
}

func witnessUDP(u net.PacketConn) {
	b := make([]byte, 64)
	for {
		_, from, err := u.ReadFrom(b)
		if err != nil {
			return
		}
		fmt.Println("udp", hostOf(from))
	}
}

func hostOf(a net.Addr) string {
	host, _, _ := net.SplitHostPort(a.String())
	return host
}
