package udp

import (
	"bytes"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// inNamespace runs body in a host of its own: 10.66.0.2/24 with a neighbour that
// never answers.
func inNamespace(t *testing.T, body func(t *testing.T)) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, `link set lo up
link add veth0 type veth peer name veth1
link set veth0 up
link set veth1 up
addr add 10.66.0.2/24 brd 10.66.0.255 dev veth0
addr add fd66::2/64 dev veth0 nodad
route add unreachable 10.99.0.0/16
route add prohibit 10.98.0.0/16
route add unreachable fd99::/16
route add prohibit fd98::/16
`)
		body(t)
	})
}

// TestSegmentsBeyondRouteMTU checks the fallback for datagrams that the kernel
// fragments: it does not cut what it would have to fragment as well.
func TestSegmentsBeyondRouteMTU(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "link set lo mtu 1500\n")
		for _, fam := range coretest.Families {
			t.Run(fam.Name, func(t *testing.T) {
				e := newEnv(t, coretest.AllFeatures)
				peer := hostSocket(t, fam.Loopback.String())
				src, dst := netip.AddrPortFrom(fam.Guest, 40020), netip.AddrPortFrom(fam.Gateway, addrOf(peer).Port())
				for round := range 2 {
					before := e.h.Stats.Sends
					for i := range byte(8) {
						e.Dev.Inject(coretest.UDP(src, dst, bytes.Repeat([]byte{i}, 4000)))
					}
					e.deliver()
					for i := range byte(8) {
						if got, _ := receive(t, peer); !bytes.Equal(got, bytes.Repeat([]byte{i}, 4000)) {
							t.Fatalf("datagram %d: %d bytes, want 4000", i, len(got))
						}
					}
					if n := e.h.Stats.Sends - before; round == 1 && n != 1 {
						t.Errorf("%d calls once the limit is known, want 1", n)
					}
				}
				if got := e.h.flows[0].segLimit; got != 4000 {
					t.Errorf("limit %d, want 4000", got)
				}
			})
		}
	})
}

func TestTTLIsPropagated(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t, coretest.AllFeatures)
		peer := hostSocket(t, "127.0.0.1")
		raw, err := peer.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_IP, syscall.IP_RECVTTL, 1) })
		if err != nil {
			t.Fatal(err)
		}
		frame := func(ttl uint8) []byte {
			return coretest.SetTTL(coretest.UDP(netip.AddrPortFrom(guest4, 40021), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil), ttl)
		}
		e.guestSends(frame(64), frame(3), frame(3), frame(7), frame(0), frame(64))
		for i, want := range []byte{64, 3, 3, 7, 64} {
			control := make([]byte, 64)
			_, n, _, _, err := peer.ReadMsgUDP(make([]byte, 8), control)
			if err != nil {
				t.Fatal(err)
			}
			msgs, err := syscall.ParseSocketControlMessage(control[:n])
			if err != nil || len(msgs) != 1 || msgs[0].Data[0] != want {
				t.Errorf("datagram %d: control %v, %v, want TTL %d", i, msgs, err, want)
			}
		}
		if e.Link.Stats.Drops[packet.DropIPHeader] != 1 {
			t.Errorf("drops %v, want the datagram with TTL 0", e.Link.Stats.Drops)
		}
	})
}

// TestBroadcast checks that a broadcast leaves, does not come back, and that
// whoever answers is heard.
func TestBroadcast(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		for _, dst := range []string{"10.66.0.255", "255.255.255.255"} {
			t.Run(dst, func(t *testing.T) {
				if dst == "255.255.255.255" {
					netnstest.IP(t, "route add default dev veth0\n")
				}
				e := newEnv(t, coretest.AllFeatures)
				peer := hostSocket(t, "0.0.0.0")
				port := addrOf(peer).Port()
				e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40022), netip.AddrPortFrom(netip.MustParseAddr(dst), port), []byte("who?")))
				got, from := receive(t, peer)
				if string(got) != "who?" || from.Addr() != guest4 {
					t.Errorf("peer got %q from %v, want it from %v", got, from, guest4)
				}
				send(t, peer, netip.AddrPortFrom(netip.MustParseAddr("10.66.0.255"), 40022), []byte("loop"))
				send(t, peer, from, []byte("me"))
				f := e.guestGets(1)[0]
				if u := f.UDP(t); f.Src.Netip() != gateway4 || u.SrcPort() != port || string(u.Payload()) != "me" {
					t.Errorf("guest got %q from %v:%d, want \"me\" from %v:%d", u.Payload(), f.Src.Netip(), u.SrcPort(), gateway4, port)
				}
			})
		}
	})
}

// TestMulticast checks that a group gets the guest's datagram with its TTL and that
// the guest does not get it back.
func TestMulticast(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "route add 239.0.0.0/8 dev veth0\n")
		veth, err := net.InterfaceByName("veth0")
		if err != nil {
			t.Fatal(err)
		}
		member, err := net.ListenMulticastUDP("udp4", veth, &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3), Port: 40023})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = member.Close() }()
		e := newEnv(t, coretest.AllFeatures)
		group := netip.MustParseAddrPort("239.1.2.3:40023")
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40024), group, []byte("hello")))
		if got, from := receive(t, member); string(got) != "hello" || from.Port() != 40024 {
			t.Errorf("member got %q from %v, want it from port 40024", got, from)
		}
		e.turn()
		if n := e.Dev.Sent(); n != 0 {
			t.Errorf("guest got %d frames, want 0", n)
		}
	})
}

func TestNoRoute(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		for _, tt := range []struct {
			src, dst  string
			typ, code uint8
			flows     int
		}{
			{"10.66.0.2:1", "10.99.0.1:2", packet.ICMPUnreachable, packet.ICMPCodeHost, 0},
			{"10.66.0.2:1", "10.98.0.1:2", packet.ICMPUnreachable, packet.ICMPCodeAdmin, 1}, // might be a broadcast
			{"10.66.0.2:1", "203.0.113.1:2", packet.ICMPUnreachable, packet.ICMPCodeNet, 0},
			{"[fd66::2]:1", "[fd99::1]:2", packet.ICMPv6Unreachable, packet.ICMPv6CodeAddr, 0},
			{"[fd66::2]:1", "[fd98::1]:2", packet.ICMPv6Unreachable, packet.ICMPv6CodeAdmin, 0},
			{"[fd66::2]:1", "[2001:db8::1]:2", packet.ICMPv6Unreachable, packet.ICMPv6CodeNoRoute, 0},
		} {
			e := newEnv(t, coretest.AllFeatures)
			e.guestSends(coretest.UDP(netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst), []byte("x")))
			if m := e.guestError().ICMP(t); m.Type() != tt.typ || m.Code() != tt.code {
				t.Errorf("%s: type %d code %d, want %d, %d", tt.dst, m.Type(), m.Code(), tt.typ, tt.code)
			}
			if got := e.h.Len(); got != tt.flows {
				t.Errorf("%s: %d flows, want %d", tt.dst, got, tt.flows)
			}
		}
	})
}

// TestOutboundSource checks the configured source address and interface.
func TestOutboundSource(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "addr add 10.66.0.7/24 dev veth0\n")
		cfg := coretest.Config()
		cfg.V4.Outbound, cfg.V4.OutboundIf = netip.MustParseAddr("10.66.0.7"), "veth0"
		e := newEnvWith(t, coretest.AllFeatures, cfg)
		near := hostSocket(t, "127.0.0.1")
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40025), netip.AddrPortFrom(gateway4, addrOf(near).Port()), nil))
		if _, from := receive(t, near); from.String() != "127.0.0.1:40025" {
			t.Errorf("loopback sees %v, want 127.0.0.1:40025", from)
		}
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40026), netip.MustParseAddrPort("10.66.0.50:9"), nil))
		var local sys.SockAddr
		if errno := sys.LocalAddr(e.h.flows[1].fd, &local); errno != 0 || local.Netip().String() != "10.66.0.7:40026" {
			t.Errorf("socket bound to %v, %v, want 10.66.0.7:40026", local.Netip(), errno)
		}
	})
}

func TestDNSForward(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		resolver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 53), Port: 53})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resolver.Close() }()
		cfg := coretest.Config()
		cfg.V4.DNSForward, cfg.V4.DNSHost = netip.MustParseAddr("10.66.0.3"), netip.MustParseAddr("127.0.0.53")
		e := newEnvWith(t, coretest.AllFeatures, cfg)
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40027), netip.MustParseAddrPort("10.66.0.3:53"), []byte("query")))
		got, from := receive(t, resolver)
		if string(got) != "query" {
			t.Errorf("resolver got %q, want the query", got)
		}
		send(t, resolver, from, []byte("answer"))
		if f := e.guestGets(1)[0]; f.Src.Netip() != cfg.V4.DNSForward || f.UDP(t).SrcPort() != 53 {
			t.Errorf("answer from %v:%d, want %v:53", f.Src.Netip(), f.UDP(t).SrcPort(), cfg.V4.DNSForward)
		}
	})
}

// TestLinkLocal checks both directions with link-local peers, which are on the
// template interface.
func TestLinkLocal(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "addr add fe80::99/64 dev veth0 nodad\n")
		veth, err := net.InterfaceByName("veth0")
		if err != nil {
			t.Fatal(err)
		}
		peer, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.ParseIP("fe80::99"), Zone: "veth0"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = peer.Close() }()
		awaitLocal(t, peer)
		cfg := coretest.Config()
		cfg.V6.Scope = uint32(veth.Index)
		e := newEnvWith(t, coretest.AllFeatures, cfg)
		guest := netip.MustParseAddr("fe80::77")
		e.h.nat.Observe(packet.AddrFrom(guest))
		port := uint16(peer.LocalAddr().(*net.UDPAddr).Port)
		dst := netip.AddrPortFrom(netip.MustParseAddr("fe80::99"), port)

		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest, 40028), dst, []byte("out")))
		got, from := receiveZone(t, peer)
		if string(got) != "out" || from.Port() != 40028 {
			t.Errorf("peer got %q from %v, want it from port 40028", got, from)
		}
		listener := e.listen("::", netip.Addr{}, 7)
		send(t, peer, netip.AddrPortFrom(netip.MustParseAddr("fe80::99%veth0"), listener.Port()), []byte("in"))
		f := e.guestGets(1)[0]
		if f.Src.Netip() != dst.Addr() || f.Dst.Netip() != guest {
			t.Errorf("guest sees %v > %v, want %v > %v", f.Src.Netip(), f.Dst.Netip(), dst.Addr(), guest)
		}
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest, 7), dst, []byte("reply")))
		if got, from := receiveZone(t, peer); string(got) != "reply" || from.Port() != listener.Port() {
			t.Errorf("peer got %q from %v, want the reply from port %d", got, from, listener.Port())
		}
	})
}

// awaitLocal waits until c reaches itself: the kernel adds the local route of a new
// IPv6 address a moment after the address (addrconf_dad_begin).
func awaitLocal(t *testing.T, c *net.UDPConn) {
	t.Helper()
	b := make([]byte, 8)
	for range 500 {
		if _, err := c.WriteTo([]byte("self"), c.LocalAddr()); err == nil {
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, _, err := c.ReadFrom(b); err == nil && string(b[:n]) == "self" {
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%v does not reach itself", c.LocalAddr())
}

// receiveZone is receive for addresses with a zone.
func receiveZone(t *testing.T, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 100)
	_ = c.SetReadDeadline(time.Now().Add(coretest.Patience))
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("receive on host: %v", err)
	}
	return b[:n], from
}

// TestOutOfDescriptors checks that new flows take the place of the oldest, whose
// datagrams have left, and that others can have the sockets of unused ones.
func TestOutOfDescriptors(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t, coretest.AllFeatures)
		peer := hostSocket(t, "127.0.0.1")
		dst := netip.AddrPortFrom(gateway4, addrOf(peer).Port())
		const sockets = 4
		limit := syscall.Rlimit{Cur: uint64(coretest.FirstFree(t) + sockets), Max: 1 << 10}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		for port := range uint16(10) { // in one batch
			e.Dev.Inject(coretest.UDP(netip.AddrPortFrom(guest4, 41000+port), dst, []byte{byte(port)}))
		}
		e.deliver()
		got := map[byte]bool{}
		for range 10 {
			b, _ := receive(t, peer)
			got[b[0]] = true
		}
		if len(got) != 10 || e.h.Len() != sockets || e.h.Stats.Recycled != 10-sockets {
			t.Errorf("%d of 10 datagrams, %d flows, %d recycled, want all, %d and the rest", len(got), e.h.Len(), e.h.Stats.Recycled, sockets)
		}
		e.Now += 5e9
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 41009), dst, nil))
		for n := sockets - 1; n > 0; n-- { // all but the one in use
			if !e.h.GiveWay(e.Now) || e.h.Len() != n {
				t.Errorf("%d flows left, want %d", e.h.Len(), n)
			}
		}
		if e.h.GiveWay(e.Now) {
			t.Error("a flow in use gave way")
		}
	})
}

// An idle flow gives way although many fresh ones are due before it: those that were
// answered have the longer timeout.
func TestIdleFlowBehindManyFreshOnes(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t, coretest.AllFeatures)
		peer := hostSocket(t, "127.0.0.1")
		dst := netip.AddrPortFrom(gateway4, addrOf(peer).Port())
		guestSends := func(port uint16) { e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, port), dst, nil)) }
		guestSends(41000)
		_, from := receive(t, peer)
		send(t, peer, from, nil)
		e.guestGets(1)
		e.Now += 20e9
		for port := range uint16(200) {
			guestSends(42000 + port)
		}
		if !e.h.GiveWay(e.Now) || e.h.Len() != 200 || e.h.uses.Len(flow.Answered) != 0 {
			t.Errorf("%d flows left, %d of them answered, want the 200 fresh ones", e.h.Len(), e.h.uses.Len(flow.Answered))
		}
		if e.h.GiveWay(e.Now) {
			t.Error("a fresh flow gave way")
		}
	})
}

// TestFlood has the guest talk to 20,000 ports, when descriptors are few: every datagram
// gets a socket, connections could still have their part, a flow that was answered
// stays, and nothing is left afterwards.
func TestFlood(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "link set veth0 arp off\nroute add 10.50.0.0/16 dev veth0\n")
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		e := newEnv(t, coretest.AllFeatures)
		peer := hostSocket(t, "127.0.0.1")
		server := netip.AddrPortFrom(gateway4, addrOf(peer).Port())
		before := coretest.Descriptors(t)
		ask := func() {
			e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 41000), server, []byte("?")))
			_, from := receive(t, peer)
			send(t, peer, from, nil)
			e.guestGets(1)
		}
		ask()
		held, most := e.h.Stats.Flows, 0
		for n := range 20000 {
			dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 50, byte(n >> 8), byte(n)}), 9)
			e.Dev.Inject(coretest.UDP(netip.AddrPortFrom(guest4, 42000), dst, nil))
			if n%64 == 63 {
				e.deliver()
				e.Now += 10e6
				most = max(most, coretest.Descriptors(t))
			}
		}
		e.deliver()
		ask()
		if n := e.h.Stats.Flows - held; n != 20000 || e.Link.Stats.Drops[packet.DropNoSocket] != 0 {
			t.Errorf("%d flows, %d datagrams without socket, want 20000 and none", n, e.Link.Stats.Drops[packet.DropNoSocket])
		}
		if room := int(hostsock.ConnLimit()) - most; room < 60 {
			t.Errorf("%d descriptors left for connections, want a quarter of them", room)
		}
		t.Logf("at most %d descriptors of 256, connections may have %d", most, hostsock.ConnLimit())
		e.Now += 120e9
		for e.h.Len() > 0 && e.h.NextDeadline() <= e.Now {
			e.h.Expire(e.Now)
		}
		if n := coretest.Descriptors(t); n != before || e.h.Len() != 0 {
			t.Errorf("%d descriptors and %d flows left, want %d and none", n, e.h.Len(), before)
		}
	})
}

// TestErrorOfLiveFlow checks that what goes wrong in sending, after the flow was
// made, is told as well: here the route is gone.
func TestErrorOfLiveFlow(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t, coretest.AllFeatures)
		frame := coretest.UDP(netip.AddrPortFrom(guest4, 40030), netip.MustParseAddrPort("10.50.0.1:9"), []byte("x"))
		netnstest.IP(t, "route add 10.50.0.0/16 dev veth0\n")
		e.guestSends(frame)
		netnstest.IP(t, "route del 10.50.0.0/16\nroute add prohibit 10.50.0.0/16\n")
		e.guestSends(frame)
		if m := e.guestError().ICMP(t); m.Type() != packet.ICMPUnreachable || m.Code() != packet.ICMPCodeAdmin {
			t.Errorf("type %d code %d, want %d, %d", m.Type(), m.Code(), packet.ICMPUnreachable, packet.ICMPCodeAdmin)
		}
		if e.h.Len() != 1 {
			t.Errorf("%d flows, want 1", e.h.Len())
		}
	})
}
