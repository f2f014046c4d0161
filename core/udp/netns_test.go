package udp

import (
	"bytes"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
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
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("receive on host: %v", err)
	}
	return b[:n], from
}

// TestOutOfDescriptors checks that flows without a socket are dropped, and that
// idle ones make room.
func TestOutOfDescriptors(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t, coretest.AllFeatures)
		peer := hostSocket(t, "127.0.0.1")
		dst := netip.AddrPortFrom(gateway4, addrOf(peer).Port())
		fd, err := syscall.Dup(0)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Close(fd)
		limit := syscall.Rlimit{Cur: uint64(fd) + 4, Max: uint64(fd) + 4}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		for port := range uint16(10) {
			e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 41000+port), dst, nil))
		}
		flows := e.h.Len()
		if drops := e.Link.Stats.Drops[packet.DropNoSocket]; flows == 0 || int(drops) != 10-flows {
			t.Errorf("%d flows and %d drops, want some and the rest of 10", flows, drops)
		}
		e.Now = recycleIdle
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 41100), dst, nil))
		if e.h.Stats.Recycled != 1 || e.h.Len() != flows {
			t.Errorf("%d recycled with %d flows, want 1 and %d", e.h.Stats.Recycled, e.h.Len(), flows)
		}
		for n := flows - 2; n >= 0; n-- { // for others, all but the one that is not idle
			if !e.h.GiveWay(e.Now) || e.h.Len() != n+1 {
				t.Errorf("%d flows left, want %d", e.h.Len(), n+1)
			}
		}
		if e.h.GiveWay(e.Now) {
			t.Error("a flow in use gave way")
		}
	})
}

// Flows that were answered have later deadlines: the one that comes first may be in use
// while they are idle.
func TestAnsweredFlowsGiveWay(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t, coretest.AllFeatures)
		dst := netip.AddrPortFrom(gateway4, addrOf(hostSocket(t, "127.0.0.1")).Port())
		send := func(port uint16) { e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, port), dst, nil)) }
		for port := range uint16(recycleTries - 1) {
			send(41000 + port)
		}
		for i := range e.h.flows {
			e.h.flows[i].replied = true
		}
		e.Now += 20e9
		send(42000)
		for n := range recycleTries - 1 {
			if !e.h.GiveWay(e.Now) {
				t.Fatalf("an idle flow that was answered does not give way, after %d", n)
			}
		}
		if e.h.GiveWay(e.Now) || e.h.Len() != 1 {
			t.Errorf("%d flows left, want the one in use", e.h.Len())
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
