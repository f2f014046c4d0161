package tap_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// kernelTap is a real tap of the test's own namespace, whose kernel is the guest.
type kernelTap struct {
	t    *testing.T
	link *tap.Link
	ep   int
	buf  []byte
}

// newKernelTap makes a tap that is up and has the guest's addresses.
func newKernelTap(t *testing.T, want tap.Features) *kernelTap {
	t.Helper()
	dev, err := tap.OpenTUN("tap0", want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dev.Close)
	if dev.Features() != want {
		t.Errorf("granted %+v, want %+v", dev.Features(), want)
	}
	netnstest.IP(t, `
		link set tap0 up mtu 1500 addrgenmode none address 02:00:00:00:00:02
		addr add 10.5.0.2/24 dev tap0
		addr add fd05::2/64 dev tap0 nodad
		neigh add 10.5.0.1 lladdr 02:00:00:00:00:01 dev tap0
		neigh add fd05::1 lladdr 02:00:00:00:00:01 dev tap0
	`)
	waitForAddress(t)
	ep, err := sys.EpollCreate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close(ep) })
	if errno := sys.EpollAdd(ep, dev.FD(), syscall.EPOLLIN, 0); errno != 0 {
		t.Fatal(errno)
	}
	return &kernelTap{
		t: t, link: tap.NewLink(dev, coretest.OurMAC, coretest.GuestMAC), ep: ep, buf: make([]byte, tap.RecvLen),
	}
}

// waitForAddress returns when the kernel takes packets to the IPv6 address, which
// it makes ready in the background even without duplicate address detection.
func waitForAddress(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if strings.Contains(netnstest.IP(t, "route show table local dev tap0\n", "-6"), "local fd05::2 ") {
			return
		}
	}
	t.Fatal("the kernel does not make fd05::2 ready")
}

// next receives the guest's next packet of the flow e, at most a few seconds long.
func (k *kernelTap) next(e ends, proto uint8) *packet.Packet {
	k.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		var p packet.Packet
		drop, errno := k.link.Recv(k.buf, &p)
		switch {
		case errno == syscall.EAGAIN:
			if _, errno := sys.EpollWait(k.ep, make([]sys.EpollEvent, 1), time.Until(end)); errno != 0 {
				k.t.Fatal(errno)
			}
		case errno != 0:
			k.t.Fatal(errno)
		case drop != packet.DropNone:
			k.t.Fatalf("a frame of the kernel is dropped: %v", drop)
		case p.Proto == proto && p.Dst.Netip() == e.our.Addr():
			return &p
		}
	}
	k.t.Fatal("the kernel sent nothing")
	return nil
}

// onKernelTap runs f for every set of features and both families.
func onKernelTap(t *testing.T, f func(k *kernelTap, e ends)) {
	t.Helper()
	netnstest.Run(t, func(t *testing.T) {
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0); err != nil {
			t.Fatal(err)
		}
		forEach(t, func(t *testing.T, feat tap.Features, e ends) { f(newKernelTap(t, feat), e) })
	})
}

// TestKernelTakesDatagrams: datagrams and UDP super-frames of ours reach a
// socket in the guest as they were sent.
func TestKernelTakesDatagrams(t *testing.T) {
	onKernelTap(t, func(k *kernelTap, e ends) {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(e.guest))
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(func() { _ = c.Close() })
		payload := pattern(2500)
		if n, errno := e.sendUDP(k.link, payload, 1000); n != len(payload) || errno != 0 {
			k.t.Fatalf("Send = %d, %v", n, errno)
		}
		if _, errno := e.sendUDP(k.link, []byte("x"), 0); errno != 0 {
			k.t.Fatal(errno)
		}
		for i, want := range [][]byte{payload[:1000], payload[1000:2000], payload[2000:], []byte("x")} {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			b := make([]byte, 3000)
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil || !bytes.Equal(b[:n], want) || from.Port() != e.our.Port() {
				k.t.Errorf("datagram %d: %d bytes from %v, %v, want %d bytes", i, n, from, err, len(want))
			}
		}
	})
}

// TestKernelGivesDatagrams: what a socket in the guest sends arrives valid, and as
// a super-frame if that was granted.
func TestKernelGivesDatagrams(t *testing.T) {
	onKernelTap(t, func(k *kernelTap, e ends) {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(e.our))
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(func() { _ = c.Close() })
		setSegment(k.t, c, 1000)
		payload := pattern(2500)
		if _, err := c.Write(payload); err != nil {
			k.t.Fatal(err)
		}
		var got []byte
		frames := 0
		for ; len(got) < len(payload); frames++ {
			p := k.next(e, packet.ProtoUDP)
			u, ok := packet.ParseUDP(p.L4)
			if !ok {
				k.t.Fatal("datagram does not parse")
			}
			got = append(got, u.Payload()...)
			if uso := k.link.Device().Features().USO; uso != (p.GSO == packet.GSOUDP && p.GSOSize == 1000) {
				k.t.Errorf("segmentation kind %d by %d with USO %v", p.GSO, p.GSOSize, uso)
			}
		}
		if want := map[bool]int{true: 1, false: 3}[k.link.Device().Features().USO]; frames != want || !bytes.Equal(got, payload) {
			k.t.Errorf("%d frames with %d bytes, want %d with %d", frames, len(got), want, len(payload))
		}
	})
}

// setSegment has the kernel cut what c sends (UDP_SEGMENT, udp(7)).
func setSegment(t *testing.T, c *net.UDPConn, size int) {
	t.Helper()
	const udpSegment = 103
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_UDP, udpSegment, size) }); err != nil {
		t.Fatal(err)
	}
}

// TestKernelExchangesStreams: super-frames pass in both directions of a TCP
// connection whose far end is played here.
func TestKernelExchangesStreams(t *testing.T) {
	onKernelTap(t, func(k *kernelTap, e ends) {
		payload := pattern(30000)
		echoed := make(chan error, 1)
		go func() { echoed <- echoStream(e.our, len(payload)) }()

		syn := k.segment(e)
		s := &script{kernelTap: k, e: e, next: syn.Seq() + 1, seq: 1000}
		s.e.guest = netip.AddrPortFrom(e.guest.Addr(), syn.SrcPort())
		o := syn.SynOptions()
		s.send(packet.SYN|packet.ACK, nil, 0)
		if super := s.receive(len(payload), payload); super != s.offload() {
			k.t.Errorf("super-frames from the kernel: %v, want %v", super, s.offload())
		}
		s.send(packet.ACK|packet.PSH, payload, int(o.MSS))
		s.receive(1, []byte{'!'})
		if err := <-echoed; err != nil {
			k.t.Error(err)
		}
		s.send(packet.RST|packet.ACK, nil, 0)
	})
}

// echoStream is the guest's end: it writes n bytes, reads them back, and says so.
func echoStream(peer netip.AddrPort, n int) error {
	c, err := net.DialTimeout("tcp", peer.String(), 5*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	want := pattern(n)
	if _, err := c.Write(want); err != nil {
		return err
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("read %d bytes that differ from what was sent", n)
	}
	_, err = c.Write([]byte{'!'})
	return err
}

// script is our end of a connection: next is RCV.NXT, seq SND.NXT.
type script struct {
	*kernelTap
	e         ends
	next, seq seqnum.Value
}

func (s *script) offload() bool {
	f := s.link.Device().Features()
	return s.e.our.Addr().Is4() && f.TSO4 || s.e.our.Addr().Is6() && f.TSO6
}

// segment receives the next TCP segment of the guest; what it points to is valid
// until the next call.
func (k *kernelTap) segment(e ends) packet.TCP {
	k.t.Helper()
	t, ok := packet.ParseTCP(k.next(e, packet.ProtoTCP).L4)
	if !ok {
		k.t.Fatal("segment does not parse")
	}
	return t
}

func (s *script) send(flags uint8, payload []byte, size int) {
	s.t.Helper()
	h := packet.TCPHeader{Seq: s.seq, Ack: s.next, Flags: flags, Window: 65535, WScale: -1}
	if flags&packet.SYN != 0 {
		h.MSS = 1400
		s.seq++
	}
	if n, errno := s.e.sendTCP(s.link, h, payload, size); n != len(payload) || errno != 0 {
		s.t.Fatalf("Send = %d, %v, want %d", n, errno, len(payload))
	}
	s.seq += seqnum.Value(len(payload))
}

// receive takes n bytes of the guest's stream, which must be those of want, acks
// them, and tells whether a super-frame was among them.
func (s *script) receive(n int, want []byte) (super bool) {
	s.t.Helper()
	got := make([]byte, 0, n)
	for len(got) < n {
		p := s.kernelTap.next(s.e, packet.ProtoTCP)
		t, ok := packet.ParseTCP(p.L4)
		if !ok {
			s.t.Fatal("segment does not parse")
		}
		if t.Flags()&packet.RST != 0 {
			s.t.Fatal("the guest resets the connection")
		}
		if t.Seq() != s.next || len(t.Payload()) == 0 {
			continue // an acknowledgment, or something again
		}
		super = super || p.GSO == packet.GSOTCP
		got = append(got, t.Payload()...)
		s.next += seqnum.Value(len(t.Payload()))
		s.send(packet.ACK, nil, 0)
	}
	if !bytes.Equal(got, want) {
		s.t.Errorf("stream of %d bytes differs from what the guest sent", len(got))
	}
	return super
}

// TestOpenTUNInNamespace: names, and a name that is taken.
func TestOpenTUNInNamespace(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		first, err := tap.OpenTUN("guest%d", coretest.AllFeatures)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		if first.Name() != "guest0" || !strings.Contains(netnstest.IP(t, "link show guest0\n"), "guest0") {
			t.Errorf("name %q, want guest0", first.Name())
		}
		if _, err := tap.OpenTUN("guest0", coretest.AllFeatures); err == nil ||
			err.Error() != "TUNSETIFF ioctl on /dev/net/tun failed: device or resource busy" {
			t.Errorf("second tap of that name: %v", err)
		}
		if _, err := tap.OpenTUN("a-name-that-is-too-long", coretest.AllFeatures); err == nil ||
			err.Error() != "TUNSETIFF ioctl on /dev/net/tun failed: invalid argument" {
			t.Errorf("long name: %v", err)
		}
	})
}
