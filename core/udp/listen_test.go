package udp

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

func TestInboundAndReply(t *testing.T) {
	for _, tt := range []struct {
		name           string
		bind, to, from string // listener, address that the client sends to and from
		guest, src     netip.Addr
	}{
		{"IPv4", "127.0.0.1", "127.0.0.1", "127.0.0.1", guest4, gateway4},
		{"IPv4 wildcard", "0.0.0.0", "127.0.0.5", "127.0.0.1", guest4, gateway4},
		{"IPv4 through dual stack", "::", "127.0.0.6", "127.0.0.7", guest4, gateway4},
		{"IPv6", "::1", "::1", "::1", guest6, gateway6},
		{"IPv6 through dual stack", "::", "::1", "::1", guest6, gateway6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			to := netip.AddrPortFrom(netip.MustParseAddr(tt.to), e.listen(tt.bind, netip.Addr{}, 53).Port())
			client := hostSocket(t, tt.from)
			send(t, client, to, []byte("query"))
			f := e.guestGets(1)[0]
			u := f.UDP(t)
			if f.Src.Netip() != tt.src || u.SrcPort() != addrOf(client).Port() || f.Dst.Netip() != tt.guest || u.DstPort() != 53 {
				t.Errorf("guest sees %v:%d > %v:%d, want %v:%d > %v:53", f.Src.Netip(), u.SrcPort(), f.Dst.Netip(), u.DstPort(),
					tt.src, addrOf(client).Port(), tt.guest)
			}
			for _, reply := range []string{"answer", "", "more"} {
				e.guestSends(coretest.UDP(netip.AddrPortFrom(tt.guest, 53), netip.AddrPortFrom(tt.src, u.SrcPort()), []byte(reply)))
				got, from := receive(t, client)
				if string(got) != reply || from != to {
					t.Errorf("client got %q from %v, want %q from %v", got, from, reply, to)
				}
			}
			if e.h.Len() != 1 || e.h.uses.Class(0) != known {
				t.Errorf("%d flows, want 1 that saw both directions", e.h.Len())
			}
		})
	}
}

func TestInboundToRuleAddress(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	to := netip.MustParseAddr("192.0.2.9")
	addr := e.listen("127.0.0.1", to, 99)
	send(t, hostSocket(t, "127.0.0.1"), addr, []byte("x"))
	if f := e.guestGets(1)[0]; f.Dst.Netip() != to || f.UDP(t).DstPort() != 99 {
		t.Errorf("guest side %v:%d, want %v:99", f.Dst.Netip(), f.UDP(t).DstPort(), to)
	}
}

func TestClientsStayApart(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	addr := e.listen("127.0.0.1", netip.Addr{}, 53)
	one, two := hostSocket(t, "127.0.0.1"), hostSocket(t, "127.0.0.1")
	for i := range byte(10) {
		send(t, one, addr, []byte{1, i})
		send(t, two, addr, []byte{2, i})
	}
	for _, f := range e.guestGets(20) {
		u := f.UDP(t)
		want := addrOf(one).Port()
		if u.Payload()[0] == 2 {
			want = addrOf(two).Port()
		}
		if u.SrcPort() != want {
			t.Errorf("datagram % x from port %d, want %d", u.Payload(), u.SrcPort(), want)
		}
	}
	if e.h.Len() != 2 {
		t.Errorf("%d flows, want 2", e.h.Len())
	}
}

// TestBurstOfOneClient checks that equal datagrams to a listener become super-frames.
func TestBurstOfOneClient(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	addr := e.listen("127.0.0.1", netip.Addr{}, 53)
	client := hostSocket(t, "127.0.0.1")
	for i := range byte(40) {
		send(t, client, addr, bytes.Repeat([]byte{i}, 1000))
	}
	frames := e.guestGets(40)
	for i, d := range coretest.Datagrams(t, frames) {
		if !bytes.Equal(d, bytes.Repeat([]byte{byte(i)}, 1000)) {
			t.Fatalf("datagram %d is % x", i, d)
		}
	}
	if len(frames) != 1 || e.h.Stats.Receives != 1 {
		t.Errorf("%d frames with %d calls, want 1 with 1", len(frames), e.h.Stats.Receives)
	}
}

// TestLatestClientGetsReplies: 127.0.0.1 and other loopback addresses all show as
// the gateway, so two clients with one port look alike.
func TestLatestClientGetsReplies(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	addr := e.listen("0.0.0.0", netip.Addr{}, 53)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())
	one := hostSocket(t, "127.0.0.1")
	port := addrOf(one).Port()
	two, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: int(port)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = two.Close() }()
	for _, c := range []*net.UDPConn{one, two} {
		send(t, c, to, []byte("query"))
		e.guestGets(1)
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, port), []byte("answer")))
		if got, _ := receive(t, c); string(got) != "answer" {
			t.Errorf("%v got %q, want the answer", c.LocalAddr(), got)
		}
	}
	if e.h.Len() != 1 {
		t.Errorf("%d flows, want 1", e.h.Len())
	}
}

// TestStrangersTakeHalfOfTheTable floods a forward from many sources: flows that
// the guest answered and its own stay, and those that it did not answer go, the
// oldest first.
func TestStrangersTakeHalfOfTheTable(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	e.shrink(8)
	forward := e.listen("127.0.0.1", netip.Addr{}, 53)
	peer := hostSocket(t, "127.0.0.1")
	own := netip.AddrPortFrom(guest4, 40000)
	e.guestSends(coretest.UDP(own, netip.AddrPortFrom(gateway4, addrOf(peer).Port()), []byte("mine")))
	known := hostSocket(t, "127.0.0.1")
	send(t, known, forward, []byte("query"))
	e.guestGets(1)
	e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, addrOf(known).Port()), []byte("answer")))

	var ports []uint16
	for range 10 {
		stranger := hostSocket(t, "127.0.0.1")
		ports = append(ports, addrOf(stranger).Port())
		send(t, stranger, forward, []byte("flood"))
		e.guestGets(1) // none is refused
	}
	want := []uint16{addrOf(peer).Port(), addrOf(known).Port()}
	want = append(want, ports[6:]...)
	var got []uint16
	e.h.table.All(func(i uint32) { got = append(got, e.h.table.Key(i).PeerPort) })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || e.h.Stats.Recycled != 6 {
		t.Errorf("flows with ports %v after %d recycled, want %v after 6", got, e.h.Stats.Recycled, want)
	}
	if n := e.h.uses.Len(strangers); n != 4 {
		t.Errorf("%d flows count as unanswered, want 4", n)
	}
}

// TestFullTableTakesFromStrangers: a new flow of the guest gets the place of one that it
// did not answer, and where there is none, that of its own oldest.
func TestFullTableTakesFromStrangers(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	e.shrink(2)
	forward := e.listen("127.0.0.1", netip.Addr{}, 53)
	send(t, hostSocket(t, "127.0.0.1"), forward, []byte("flood"))
	e.guestGets(1)
	peer := hostSocket(t, "127.0.0.1")
	for port := range uint16(3) {
		src := netip.AddrPortFrom(guest4, 40000+port)
		e.guestSends(coretest.UDP(src, netip.AddrPortFrom(gateway4, addrOf(peer).Port()), []byte("mine")))
	}
	var ports []uint16
	e.h.table.All(func(i uint32) { ports = append(ports, e.h.table.Key(i).GuestPort) })
	slices.Sort(ports)
	if !slices.Equal(ports, []uint16{40001, 40002}) || e.h.Stats.Recycled != 2 || e.Link.Stats.Drops[packet.DropTableFull] != 0 {
		t.Errorf("flows from ports %v, %d recycled, drops %v, want the last two of three, 2 and none",
			ports, e.h.Stats.Recycled, e.Link.Stats.Drops)
	}
}

// TestFullTableTakesFromClients: where clients that the guest knows have more than half of
// the table, its own new flow gets the place of the one unused for longest.
func TestFullTableTakesFromClients(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	e.shrink(3)
	forward := e.listen("127.0.0.1", netip.Addr{}, 53)
	var ports []uint16
	for range 3 {
		e.Now++
		client := hostSocket(t, "127.0.0.1")
		port := addrOf(client).Port()
		ports = append(ports, port)
		send(t, client, forward, []byte("query"))
		e.guestGets(1)
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, port), []byte("answer")))
	}
	peer := hostSocket(t, "127.0.0.1")
	e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40000), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), []byte("mine")))
	if got, _ := receive(t, peer); string(got) != "mine" {
		t.Errorf("peer got %q", got)
	}
	want := append(ports[1:], addrOf(peer).Port())
	var got []uint16
	e.h.table.All(func(i uint32) { got = append(got, e.h.table.Key(i).PeerPort) })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || e.h.Sockets() != 1 {
		t.Errorf("flows with ports %v, %d sockets, want %v and 1", got, e.h.Sockets(), want)
	}
}

// TestFullTableLeavesTimeToAnswer: where clients that the guest knows have all of the table,
// several new ones at once do not take each other's place before the guest can answer.
func TestFullTableLeavesTimeToAnswer(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	e.shrink(8)
	forward := e.listen("127.0.0.1", netip.Addr{}, 53)
	asks := func() uint16 {
		client := hostSocket(t, "127.0.0.1")
		send(t, client, forward, []byte("query"))
		e.guestGets(1)
		return addrOf(client).Port()
	}
	answered := func(port uint16) {
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, port), []byte("answer")))
	}
	for range 8 {
		answered(asks())
	}
	first, second := asks(), asks()
	answered(first)
	answered(second)
	if e.h.Sockets() != 0 || e.h.uses.Len(known) != 8 {
		t.Errorf("%d sockets, %d clients, want the answers to leave through the listener: 0 and 8",
			e.h.Sockets(), e.h.uses.Len(known))
	}
}

func TestFullTableRefusesClients(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	e.shrink(1)
	peer := hostSocket(t, "127.0.0.1")
	e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40000), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil))
	addr := e.listen("127.0.0.1", netip.Addr{}, 53)
	client := hostSocket(t, "127.0.0.1")
	send(t, client, addr, []byte("refused"))
	e.guestGets(0)
	if e.h.Stats.HostDrops[packet.DropTableFull] != 1 {
		t.Errorf("drops %v, want one %v", e.h.Stats.HostDrops, packet.DropTableFull)
	}
	e.Now = 5e9
	send(t, client, addr, []byte("recycled"))
	e.guestGets(1)
	if e.h.Stats.Recycled != 1 || e.h.Len() != 1 {
		t.Errorf("%d recycled with %d flows, want 1 and 1", e.h.Stats.Recycled, e.h.Len())
	}
}
