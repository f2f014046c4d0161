package engine

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// crowd is an engine of a process with few descriptors, and servers on its host.
type crowd struct {
	*fixture
	tcp, udp netip.AddrPort // as the guest sees them
	server   *net.UDPConn
	nextPort uint16
	failed   map[string]int
}

const crowdLimit = 256

// inCrowd runs body with an engine that may have crowdLimit descriptors. The host's
// network takes what is sent to 10.50.0.0/16, and never answers.
func inCrowd(t *testing.T, body func(c *crowd)) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, `link set lo up
link add veth0 type veth peer name veth1
link set veth0 arp off
link set veth0 up
link set veth1 up
addr add 10.66.0.2/24 dev veth0
route add 10.50.0.0/16 dev veth0
`)
		if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0o644); err != nil {
			t.Fatal(err)
		}
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		limit.Cur = crowdLimit
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		c := &crowd{nextPort: 20000, failed: map[string]int{}}
		c.server, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.server.Close() }()
		gateway := func(a net.Addr) netip.AddrPort {
			return netip.AddrPortFrom(coretest.Gateway4, netip.MustParseAddrPort(a.String()).Port())
		}
		c.tcp, c.udp = gateway(l.Addr()), gateway(c.server.LocalAddr())
		c.fixture = newFixture(t, testConfig(), coretest.AllFeatures)
		before := coretest.Descriptors(t)
		body(c)
		c.Engine.tcp.Close()
		c.Engine.udp.Close()
		c.icmp.Close()
		if n := coretest.Descriptors(t); n > before {
			t.Errorf("%d descriptors after the end of all flows, %d before them", n, before)
		}
	})
}

func (c *crowd) port() netip.AddrPort {
	c.nextPort++
	return netip.AddrPortFrom(coretest.Guest4, c.nextPort)
}

func (c *crowd) note(what string, ok bool) {
	c.dev.Discard()
	if !ok {
		c.failed[what]++
	}
}

// connects opens a connection that stays.
func (c *crowd) connects() bool {
	before := c.Engine.tcp.Stats.OutboundOpened
	c.receive(coretest.TCP(c.port(), c.tcp, packet.TCPHeader{Seq: 1, Flags: packet.SYN, Window: 65535, MSS: 1460, WScale: -1}, nil))
	return c.Engine.tcp.Stats.OutboundOpened > before
}

// asks has the host's server hear from a new flow, and the guest from the server.
func (c *crowd) asks() bool {
	c.receive(coretest.UDP(c.port(), c.udp, []byte("?")))
	_ = c.server.SetReadDeadline(time.Now().Add(time.Second))
	_, from, err := c.server.ReadFromUDPAddrPort(make([]byte, 8))
	if err != nil {
		return false
	}
	heard := c.Engine.udp.Stats.ToGuest
	_, err = c.server.WriteToUDPAddrPort([]byte("!"), from)
	c.within(time.Second, func() bool { return c.Engine.udp.Stats.ToGuest > heard })
	return err == nil && c.Engine.udp.Stats.ToGuest > heard
}

// pings has the host's loopback answer a new flow.
func (c *crowd) pings() bool {
	heard := c.icmp.Stats.Replies
	c.receive(coretest.Echo(coretest.Guest4, coretest.Gateway4, c.port().Port(), 1, nil))
	c.within(time.Second, func() bool { return c.icmp.Stats.Replies > heard })
	return c.icmp.Stats.Replies > heard
}

// within turns the loop until done, or for that long.
func (c *crowd) within(d time.Duration, done func() bool) {
	late := false
	alarm := time.AfterFunc(d, func() { c.loop.Post(func() { late = true }) })
	defer alarm.Stop()
	for !done() && !late {
		if err := c.turn(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// silent is the nth destination that never answers.
func silent(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 50, byte(n >> 8), byte(n)}) }

// TestFloodsLeaveRoom: while flows of one protocol come by thousands, new ones of all
// others find a descriptor.
func TestFloodsLeaveRoom(t *testing.T) {
	const flood, tries = 20000, 20
	udp := func(n int) []byte {
		return coretest.UDP(netip.AddrPortFrom(coretest.Guest4, 9), netip.AddrPortFrom(silent(n), 9), nil)
	}
	for _, tt := range []struct {
		name  string
		frame func(n int) []byte
	}{
		{"UDP", udp},
		{"ICMP", func(n int) []byte { return coretest.Echo(coretest.Guest4, silent(n), uint16(n), 1, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inCrowd(t, func(c *crowd) {
				start, most := time.Now(), 0
				for n := range flood {
					c.dev.Inject(tt.frame(n))
					if n%64 == 63 {
						c.receive()
						most = max(most, coretest.Descriptors(c.t))
					}
					if n%(flood/tries) == flood/tries-1 {
						c.note("TCP", c.connects())
						c.note("UDP", c.asks())
						c.note("ICMP", c.pings())
					}
				}
				c.t.Logf("at most %d descriptors of %d, failed of %d: %v, in %v", most, crowdLimit, tries, c.failed, time.Since(start))
				if len(c.failed) > 0 {
					c.t.Errorf("failed of %d: %v", tries, c.failed)
				}
			})
		})
	}
	t.Run("TCP", func(t *testing.T) {
		inCrowd(t, func(c *crowd) {
			opened := 0
			for range crowdLimit {
				if c.connects() {
					opened++
				}
			}
			for n := range flood / 100 {
				c.receive(udp(n))
			}
			for range tries {
				c.note("UDP", c.asks())
				c.note("ICMP", c.pings())
			}
			c.t.Logf("%d connections, failed of %d: %v", opened, tries, c.failed)
			if len(c.failed) > 0 || opened < crowdLimit/2 {
				c.t.Errorf("%d connections, failed of %d: %v", opened, tries, c.failed)
			}
		})
	})
}
