package linkclients

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/dhcp"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/neigh"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// ifName is the guest's interface; ourMAC is who answers on it.
const ifName = "tap0"

var ourMAC = packet.MAC{0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55}

// testConfig has every option of every service. The gateway is outside the
// IPv4 subnet, so that classless routes are needed.
func testConfig() *config.Config {
	return &config.Config{
		MTU:          4000,
		OurMAC:       ourMAC,
		OurLinkLocal: netip.MustParseAddr("fe80::1"),
		V4: config.Family{
			Enabled: true, Guest: netip.MustParseAddr("10.66.0.2"), PrefixLen: 24,
			Gateway: netip.MustParseAddr("10.99.0.1"), Our: netip.MustParseAddr("10.99.0.1"),
			DNS: []netip.Addr{netip.MustParseAddr("10.66.0.53"), netip.MustParseAddr("10.66.0.54")},
		},
		V6: config.Family{
			Enabled: true, Guest: netip.MustParseAddr("fd66::2"), PrefixLen: 64,
			Gateway: netip.MustParseAddr("fe80::1"), Our: netip.MustParseAddr("fe80::1"),
			DNS: []netip.Addr{netip.MustParseAddr("fd66::53")},
		},
		Link: config.Link{
			DHCP: true, DHCPv6: true, NDP: true, RA: true, SendDNS: true, SendSearch: true,
			Search:   []string{"corp.example.org", "example.org"},
			Hostname: "guest1", FQDN: "guest1.example.org",
		},
	}
}

// service is a running link with its handlers.
type service struct {
	link  *tap.Link
	loop  *loop.Loop
	neigh *neigh.Handler
	dhcp  *dhcp.Server
	log   lockedBuffer
	stop  bool // loop goroutine only
}

// lockedBuffer is a buffer that one goroutine fills while another reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// serve opens the tap in the current network namespace and answers on it until
// the test ends.
func serve(t *testing.T, cfg *config.Config) *service {
	t.Helper()
	dev, err := tap.OpenTUN(ifName, tap.Features{VnetHdr: true, Checksum: true, TSO4: true, TSO6: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	if errno := l.Add(dev.FD(), loop.In, loop.MakeToken(loop.KindTap, 0, 0)); errno != 0 {
		t.Fatalf("watch tap: %v", errno)
	}
	s := &service{loop: l, link: tap.NewLink(dev, ourMAC, packet.MAC{})}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(&s.log, os.Stderr), nil))
	s.neigh, s.dhcp = neigh.New(cfg, s.link, nil, log), dhcp.New(cfg, s.link, log)
	done := make(chan error, 1)
	go func() { done <- s.run() }()
	t.Cleanup(func() {
		l.Post(func() { s.stop = true })
		if err := <-done; err != nil {
			t.Error(err)
		}
		dev.Close()
		l.Close()
	})
	return s
}

func (s *service) run() error {
	buf := make([]byte, tap.RecvLen)
	s.neigh.Start(s.loop.Now())
	for !s.stop {
		events, err := s.loop.Wait(s.neigh.NextDeadline())
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Token.Kind() == loop.KindWake {
				s.loop.RunInbox()
			} else {
				s.drain(buf)
			}
		}
		s.neigh.Expire(s.loop.Now())
	}
	return nil
}

// drain dispatches all waiting frames.
func (s *service) drain(buf []byte) {
	var p packet.Packet
	for {
		drop, errno := s.link.Recv(buf, &p)
		if errno != 0 {
			return
		}
		if drop != packet.DropNone || s.neigh.FromTap(&p, s.loop.Now()) || p.Proto != packet.ProtoUDP {
			continue
		}
		if u, ok := packet.ParseUDP(p.L4); ok {
			s.dhcp.FromTap(&p, u)
		}
	}
}
