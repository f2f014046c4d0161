package vpnkit

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	googleuuid "github.com/google/uuid"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/moby/vpnkit/go/pkg/vmnet"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

func itoa(n int) string { return strconv.Itoa(n) }

// connect is what RootlessKit does: VPNKit's own client, DHCP included.
func (s *testServer) connect(id googleuuid.UUID) *vmnet.Vif {
	s.t.Helper()
	v, err := vmnet.New(s.t.Context(), s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { v.Close() })
	vif, err := v.ConnectVif(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return vif
}

// TestGoClient plays RootlessKit: the parent connects and never reads again, the child
// connects with the same UUID and gets the same addresses.
func TestGoClient(t *testing.T) {
	s := startServer(t, func(s *settings) { s.network.mtu = 65520 })
	id := googleuuid.New()
	parent := s.connect(id)
	child := s.connect(id)
	if parent.IP.String() != "192.168.65.3" || child.IP.String() != "192.168.65.3" {
		t.Errorf("addresses %v and %v", parent.IP, child.IP)
	}
	if parent.ClientMAC.String() != child.ClientMAC.String() || parent.MTU != 65520 {
		t.Errorf("MACs %v and %v, MTU %d", parent.ClientMAC, child.ClientMAC, parent.MTU)
	}
	if other := s.connect(googleuuid.New()); other.IP.String() != "192.168.65.4" {
		t.Errorf("another guest has %v", other.IP)
	}
}

func TestGoClientWithAddress(t *testing.T) {
	s := startServer(t, nil)
	v, err := vmnet.New(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	vif, err := v.ConnectVifIP(googleuuid.New(), net.IPv4(192, 168, 65, 9))
	if err != nil || vif.IP.String() != "192.168.65.9" {
		t.Fatalf("%v, %v", vif, err)
	}
	again, err := vmnet.New(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	const want = "Preferred IP address 192.168.65.9 already used."
	if _, err := again.ConnectVifIP(googleuuid.New(), net.IPv4(192, 168, 65, 9)); err == nil || err.Error() != want {
		t.Errorf("another guest: %v, want %s", err, want)
	}
}

// TestRefusals has every reason that upstream's server gives, as its client tells it.
func TestRefusals(t *testing.T) {
	s := startServer(t, func(s *settings) { s.network.highest = addr("192.168.65.4") })
	first, second := googleuuid.New(), googleuuid.New()
	for _, tt := range []struct {
		who  googleuuid.UUID
		want string // preferred address; empty: any
		err  string
	}{
		{first, "192.168.65.3", ""},
		{second, "192.168.65.5", "Preferred IP address out of range."},
		{second, "192.168.65.3", "Preferred IP address 192.168.65.3 already used."},
		{first, "192.168.65.4", "UUID already assigned to a different IP than the IP requested by the client"},
		{second, "", ""},
		{googleuuid.New(), "", "No IP addresses available."},
	} {
		v, err := vmnet.New(t.Context(), s.path)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if tt.want == "" {
			_, err = v.ConnectVif(tt.who)
		} else {
			_, err = v.ConnectVifIP(tt.who, net.ParseIP(tt.want))
		}
		if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// guestConn is a connection that carries frames of a guest with address 192.168.65.3,
// the first to come.
type guestConn struct {
	t    *testing.T
	conn net.Conn
}

var (
	guestIP   = netip.MustParseAddr("192.168.65.3")
	gatewayIP = netip.MustParseAddr("192.168.65.1")
	hostIP    = netip.MustParseAddr("192.168.65.2")
)

// send sends a frame, to the server if it is for the other end of package coretest.
func (g *guestConn) send(frame []byte) {
	g.t.Helper()
	if packet.MAC(frame) == coretest.OurMAC {
		copy(frame, serverMAC[:])
	}
	if _, err := g.conn.Write(append(binary.LittleEndian.AppendUint16(nil, uint16(len(frame))), frame...)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guestConn) receive() *coretest.Frame {
	g.t.Helper()
	var n [2]byte
	if _, err := io.ReadFull(g.conn, n[:]); err != nil {
		g.t.Fatal(err)
	}
	b := make([]byte, binary.LittleEndian.Uint16(n[:]))
	if _, err := io.ReadFull(g.conn, b); err != nil {
		g.t.Fatal(err)
	}
	return coretest.CheckFrame(g.t, tap.Features{}, b)
}

// silent checks that nothing is under way: an echo request sent now is answered first.
func (g *guestConn) silent(what string) {
	g.t.Helper()
	g.send(coretest.Echo(guestIP, gatewayIP, 99, 99, nil))
	if f := g.receive(); f.Proto != packet.ProtoICMP || f.ICMP(g.t).ID() != 99 {
		g.t.Errorf("%s: a frame of type %#x from %v", what, f.EtherType, f.Src.Netip())
	}
}

// guestPings has the gateway answer.
func guestPings(t *testing.T, c net.Conn, id uint16) {
	t.Helper()
	g := &guestConn{t, c}
	g.send(coretest.Echo(guestIP, gatewayIP, id, 1, []byte("x")))
	if f := g.receive(); f.Proto != packet.ProtoICMP || f.ICMP(t).ID() != id || f.Src.Netip() != gatewayIP {
		t.Errorf("protocol %d from %v", f.Proto, f.Src.Netip())
	}
}

// TestGuestWithoutChecksums: the IPv4 header's may be missing, as in the DHCP messages of
// the Go client.
func TestGuestWithoutChecksums(t *testing.T) {
	s := startServer(t, nil)
	c, _ := s.vif(1)
	g := &guestConn{t, c}
	frame := coretest.Echo(guestIP, gatewayIP, 5, 1, nil)
	frame[24], frame[25] = 0, 0
	g.send(frame)
	if f := g.receive(); f.ICMP(t).ID() != 5 {
		t.Errorf("reply %d", f.ICMP(t).ID())
	}
}

// arp asks for an address.
func arp(target netip.Addr) []byte {
	b := make([]byte, packet.EthLen+packet.ARPLen)
	mac := packet.MAC{0x02, 0x50, 0, 0, 0, 1}
	packet.PutEthernet(b, packet.Broadcast, mac, packet.EtherTypeARP)
	packet.PutARP(b[packet.EthLen:], &packet.ARPHeader{
		Op: packet.ARPRequest, SenderMAC: mac, SenderIP: packet.AddrFrom(guestIP), TargetIP: packet.AddrFrom(target),
	})
	return b
}

func TestARP(t *testing.T) {
	s := startServer(t, nil)
	c, _ := s.vif(1)
	_, other := s.vif(2)
	g := &guestConn{t, c}
	g.silent("at the start")
	for ip, want := range map[string]packet.MAC{
		"192.168.65.1": serverMAC, "192.168.65.2": serverMAC, "192.168.65.4": packet.MAC(other[5:11]),
		"192.168.65.3": {}, "192.168.65.5": {}, "8.8.8.8": {},
	} {
		g.send(arp(netip.MustParseAddr(ip)))
		if want == (packet.MAC{}) {
			g.silent(ip)
			continue
		}
		if a, ok := packet.ParseARP(g.receive().L3); !ok || a.SenderMAC() != want || a.SenderIP().Netip().String() != ip {
			t.Errorf("%s: %x at %v", ip, a.SenderMAC(), a.SenderIP().Netip())
		}
	}
}

func TestOffer(t *testing.T) {
	s := startServer(t, func(s *settings) { s.domain, s.dhcp.SearchDomains = "lan", []string{"a.example"} })
	c, b := s.vif(1)
	m, err := dhcpv4.NewDiscovery(net.HardwareAddr(b[5:11]))
	if err != nil {
		t.Fatal(err)
	}
	g := &guestConn{t, c}
	g.send(coretest.UDP(netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67"), m.ToBytes()))
	payload := g.receive().UDP(t).Payload()
	if string(payload[240:243]) != "\x35\x01\x02" {
		t.Errorf("the offer's options start with % x: old clients want the type", payload[240:243])
	}
	offer, err := dhcpv4.FromBytes(payload)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join([]string{
		offer.YourIPAddr.String(), offer.ServerIdentifier().String(), offer.Router()[0].String(), offer.DNS()[0].String(),
		offer.NTPServers()[0].String(), offer.SubnetMask().String(), offer.BroadcastAddress().String(), offer.DomainName(),
		offer.DomainSearch().String(), offer.IPAddressLeaseTime(0).String(),
	}, " ")
	want := "192.168.65.3 192.168.65.1 192.168.65.1 192.168.65.1 192.168.65.1 ffffff00 192.168.65.255 lan [a.example] " +
		(2147483647 * time.Second).String()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	g.silent("a second offer")
}

// TestHostLoopback: the host's address leads to its loopback, and the gateway's to
// nothing.
func TestHostLoopback(t *testing.T) {
	echo, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(b[:n], from)
		}
	}()
	port := uint16(echo.LocalAddr().(*net.UDPAddr).Port)
	s := startServer(t, nil)
	c, _ := s.vif(1)
	g := &guestConn{t, c}
	from := netip.AddrPortFrom(guestIP, 4000)
	g.send(coretest.UDP(from, netip.AddrPortFrom(hostIP, port), []byte("hello")))
	if f := g.receive(); f.Src.Netip() != hostIP || string(f.UDP(t).Payload()) != "hello" {
		t.Errorf("from %v: %q", f.Src.Netip(), f.L4)
	}
	g.send(coretest.UDP(from, netip.AddrPortFrom(gatewayIP, port), []byte("hello")))
	g.silent("datagram to the gateway")
	g.send(coretest.TCP(from, netip.AddrPortFrom(gatewayIP, port), packet.TCPHeader{Flags: packet.SYN, WScale: -1}, nil))
	g.silent("connection to the gateway")
	g.send(coretest.TCP(from, netip.AddrPortFrom(hostIP, port), packet.TCPHeader{Flags: packet.SYN, WScale: -1}, nil))
	if f := g.receive(); f.TCP(t).Flags()&packet.RST == 0 {
		t.Errorf("connection that the host refuses: flags %#x, want RST", f.TCP(t).Flags())
	}
}

// TestNames: the names of the network are known without a resolver.
func TestNames(t *testing.T) {
	s := startServer(t, nil)
	c, _ := s.vif(1)
	g := &guestConn{t, c}
	for name, want := range map[string]netip.Addr{"host.internal": hostIP, "gateway.internal": gatewayIP, "vm.internal": guestIP} {
		q, err := packet.AppendName([]byte{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, name)
		if err != nil {
			t.Fatal(err)
		}
		g.send(coretest.UDP(netip.AddrPortFrom(guestIP, 4000), netip.AddrPortFrom(gatewayIP, 53), append(q, 0, 1, 0, 1)))
		reply := g.receive().UDP(t).Payload()
		if got, ok := netip.AddrFromSlice(reply[len(reply)-4:]); !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestGuestsMeet: guests reach each other by their MAC addresses.
func TestGuestsMeet(t *testing.T) {
	s := startServer(t, nil)
	first, a := s.vif(1)
	second, b := s.vif(2)
	g, h := &guestConn{t, first}, &guestConn{t, second}
	h.send(coretest.Echo(netip.MustParseAddr("192.168.65.4"), gatewayIP, 7, 1, nil)) // it speaks
	h.receive()
	frame := coretest.Echo(guestIP, netip.MustParseAddr("192.168.65.4"), 8, 1, make([]byte, 50))
	packet.PutEthernet(frame, packet.MAC(b[5:11]), packet.MAC(a[5:11]), packet.EtherTypeIP4)
	g.send(frame)
	if f := h.receive(); f.Src.Netip() != guestIP || f.ICMP(t).ID() != 8 || f.EthSrc != packet.MAC(a[5:11]) {
		t.Errorf("from %v, MAC %x", f.Src.Netip(), f.EthSrc)
	}
}
