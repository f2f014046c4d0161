package engine

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

// TestDrops: what is not served is dropped without an answer, and counted.
func TestDrops(t *testing.T) {
	f4, f6 := coretest.Families[0], coretest.Families[1]
	port := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 9) }
	udp := func(f coretest.Family) []byte { return coretest.UDP(port(f.Guest), port(f.Gateway), []byte("x")) }
	syn := func(f coretest.Family) []byte {
		return coretest.TCP(port(f.Guest), port(f.Gateway), packet.TCPHeader{Flags: packet.SYN, WScale: -1}, nil)
	}
	echo := func(f coretest.Family) []byte { return coretest.Echo(f.Guest, f.Gateway, 1, 1, nil) }
	other := func(f coretest.Family, proto uint8) []byte {
		return coretest.IP(f.Guest, f.Gateway, proto, make([]byte, 8))
	}
	noICMPSum := func(f coretest.Family, proto uint8) []byte {
		return coretest.IP(f.Guest, f.Gateway, proto, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0})
	}
	tests := []struct {
		name   string
		change func(*config.Config)
		frame  []byte
		want   packet.Drop
	}{
		{"IPv4 off", func(c *config.Config) { c.V4.Enabled = false }, udp(f4), packet.DropDisabled},
		{"IPv6 off", func(c *config.Config) { c.V6.Enabled = false }, udp(f6), packet.DropDisabled},
		{"IPv6 off, ping", func(c *config.Config) { c.V6.Enabled = false }, echo(f6), packet.DropDisabled},
		{"TCP off", func(c *config.Config) { c.TCP = false }, syn(f4), packet.DropDisabled},
		{"TCP off, IPv6", func(c *config.Config) { c.TCP = false }, syn(f6), packet.DropDisabled},
		{"UDP off", func(c *config.Config) { c.UDP = false }, udp(f4), packet.DropDisabled},
		{"ICMP off", func(c *config.Config) { c.ICMP = false }, echo(f4), packet.DropDisabled},
		{"ICMP off, IPv6", func(c *config.Config) { c.ICMP = false }, echo(f6), packet.DropDisabled},
		{"SCTP", nil, other(f4, 132), packet.DropProtocol},
		{"GRE, IPv6", nil, other(f6, 47), packet.DropProtocol},
		{"ICMP in IPv6", nil, noICMPSum(f6, packet.ProtoICMP), packet.DropProtocol},
		{"short TCP", nil, shortTCP(f4), packet.DropTransport},
		{"wrong checksum", nil, flip(udp(f4)), packet.DropChecksum},
		{"first fragment without data", nil, coretest.IP(f6.Guest, f6.Gateway, 44, []byte{17, 0, 0, 1, 0, 0, 0, 0}), packet.DropFragment},
		{"unknown EtherType", nil, append(udp(f4)[:12], 0x88, 0xcc, 0, 0), packet.DropEtherType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			if tt.change != nil {
				tt.change(cfg)
			}
			f := newFixture(t, cfg, tap.Features{})
			f.receive(tt.frame)
			if got, want := f.drops(), map[packet.Drop]uint64{tt.want: 1}; !maps.Equal(got, want) {
				t.Errorf("drops %v, want %v", got, want)
			}
			if f.dev.Sent() != 0 {
				t.Errorf("%d answers, want none", f.dev.Sent())
			}
		})
	}
}

// shortTCP is a segment with half a header whose checksum is right.
func shortTCP(f coretest.Family) []byte {
	l4 := make([]byte, 12)
	frame := coretest.IP(f.Guest, f.Gateway, packet.ProtoTCP, l4)
	sum := packet.PseudoSum(frame[packet.EthLen:], packet.ProtoTCP, len(l4))
	frame[len(frame)-2], frame[len(frame)-1] = byte(^sum>>8), byte(^sum)
	return frame
}

func flip(frame []byte) []byte {
	frame[len(frame)-1] ^= 1
	return frame
}

func TestARPIsAnswered(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		cfg := testConfig()
		cfg.V4.Enabled = enabled
		f := newFixture(t, cfg, coretest.AllFeatures)
		frame := make([]byte, packet.EthLen+packet.ARPLen)
		packet.PutEthernet(frame, packet.Broadcast, coretest.GuestMAC, packet.EtherTypeARP)
		packet.PutARP(frame[packet.EthLen:], &packet.ARPHeader{
			Op: packet.ARPRequest, SenderMAC: coretest.GuestMAC,
			SenderIP: packet.AddrFrom(cfg.V4.Guest), TargetIP: packet.AddrFrom(cfg.V4.Gateway),
		})
		f.receive(frame)
		frames := f.dev.Take(t)
		if answered := len(frames) == 1; answered != enabled {
			t.Fatalf("IPv4 %v: %d answers", enabled, len(frames))
		}
		if !enabled {
			continue
		}
		if a, ok := packet.ParseARP(frames[0].L3); !ok || a.Op() != packet.ARPReply || a.SenderMAC() != coretest.OurMAC {
			t.Errorf("answer % x", frames[0].L3)
		}
	}
}

// TestDatagramReachesHost: UDP goes to a socket of the host and back, in each family
// and with and without offloads.
func TestDatagramReachesHost(t *testing.T) {
	for _, fam := range coretest.Families {
		for _, feat := range []tap.Features{{}, coretest.AllFeatures} {
			t.Run(fam.Name, func(t *testing.T) {
				c, service := udpService(t, fam)
				f := newFixture(t, testConfig(), feat)
				f.receive(coretest.UDP(netip.AddrPortFrom(fam.Guest, 4000), service, []byte("ping")))
				b := make([]byte, 16)
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil || string(b[:n]) != "ping" {
					t.Fatalf("host got %q, %v", b[:n], err)
				}
				if _, err := c.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
					t.Fatal(err)
				}
				f.until("answer", func() bool { return f.dev.Sent() > 0 })
				if u := f.dev.Take(t)[0].UDP(t); string(u.Payload()) != "pong" || u.SrcPort() != service.Port() || u.DstPort() != 4000 {
					t.Errorf("guest got %q from %d to %d", u.Payload(), u.SrcPort(), u.DstPort())
				}
			})
		}
	}
}

// udpService is a socket on the host's loopback, which waits for some seconds, and the
// address that it has for the guest.
func udpService(t *testing.T, fam coretest.Family) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(fam.Loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	return c, netip.AddrPortFrom(fam.Gateway, c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

func TestStopEndsRun(t *testing.T) {
	dev := coretest.NewMemTap(t, coretest.AllFeatures)
	e, err := New(Options{Config: testConfig(), Device: dev, Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Run() }()
	e.Stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if dev.FD() == -1 {
		t.Error("the device is closed before Close")
	}
	e.Close()
	if dev.FD() != -1 {
		t.Error("the device is still open")
	}
	e.Stop() // too late, and harmless
}

// brokenTap is a device whose Recv fails for ever.
type brokenTap struct {
	tap.Device
	errno syscall.Errno
	calls int
}

func (b *brokenTap) Recv([]byte) (int, syscall.Errno) {
	b.calls++
	sys.EventfdDrain(b.FD())
	return 0, b.errno
}

func TestFatalTapErrorEndsRun(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EBADFD, syscall.EFAULT, syscall.ENODEV} {
		mem := coretest.NewMemTap(t, coretest.AllFeatures)
		e, err := New(Options{Config: testConfig(), Device: &brokenTap{Device: mem, errno: errno}, Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		mem.Inject(nil)
		err = e.Run()
		e.Close()
		if !errors.Is(err, ErrTap) || !errors.Is(err, errno) {
			t.Errorf("Run = %v, want ErrTap and %v", err, errno)
		}
		if mem.FD() != -1 {
			t.Errorf("%v: the device is still open", errno)
		}
	}
}

func TestPassingTapErrorsAreTolerated(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS, syscall.EIO} {
		mem := coretest.NewMemTap(t, coretest.AllFeatures)
		broken := &brokenTap{Device: mem, errno: errno}
		e := newEngine(t, testConfig(), broken)
		mem.Inject(nil)
		if err := e.turn(); err != nil {
			t.Errorf("%v: turn = %v, want it tolerated", errno, err)
		}
		if broken.calls != 1 {
			t.Errorf("%v: %d reads in one turn, want 1", errno, broken.calls)
		}
	}
}
