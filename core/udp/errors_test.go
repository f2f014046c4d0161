package udp

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// guestError turns the loop until the guest got an ICMP error.
func (e *env) guestError() *coretest.Frame {
	e.T.Helper()
	for end := time.Now().Add(coretest.Patience); time.Now().Before(end); {
		e.turn()
		for _, f := range e.Dev.Take(e.T) {
			if f.Proto == packet.ProtoICMP || f.Proto == packet.ProtoICMPv6 {
				return f
			}
		}
	}
	e.T.Fatal("guest got no ICMP error")
	return nil
}

// closedPort is a port of the loopback address where nobody listens.
func closedPort(t *testing.T, address string) uint16 {
	c := hostSocket(t, address)
	_ = c.Close()
	return addrOf(c).Port()
}

func TestPortUnreachable(t *testing.T) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			src := netip.AddrPortFrom(fam.Guest, 40010)
			dst := netip.AddrPortFrom(fam.Gateway, closedPort(t, fam.Loopback.String()))
			e.guestSends(coretest.UDP(src, dst, []byte("anybody?")))
			f := e.guestError()
			m := f.ICMP(t)
			wantType, wantCode := uint8(packet.ICMPUnreachable), uint8(packet.ICMPCodePort)
			if fam.Guest.Is6() {
				wantType, wantCode = packet.ICMPv6Unreachable, packet.ICMPv6CodePort
			}
			if m.Type() != wantType || m.Code() != wantCode || f.Src.Netip() != fam.Gateway || f.Dst.Netip() != fam.Guest {
				t.Errorf("type %d code %d %v > %v, want %d, %d, %v > %v",
					m.Type(), m.Code(), f.Src.Netip(), f.Dst.Netip(), wantType, wantCode, fam.Gateway, fam.Guest)
			}
			var q packet.Quoted
			want := packet.Quoted{
				Src: packet.AddrFrom(fam.Guest), Dst: packet.AddrFrom(fam.Gateway),
				Proto: packet.ProtoUDP, SrcPort: 40010, DstPort: dst.Port(),
			}
			if !packet.ParseQuoted(m, &q) || q != want {
				t.Errorf("quotes %+v, want %+v", q, want)
			}
			quoted := quotedPacket(t, m)
			if u := quoted.UDP(t); string(u.Payload()) != "anybody?" {
				t.Errorf("quotes %q, want the datagram", u.Payload())
			}
			// The flow goes on: the peer may appear later.
			e.guestSends(coretest.UDP(src, dst, []byte("again")))
			e.guestError()
			if e.h.Len() != 1 || e.h.Stats.ToHost != 2 {
				t.Errorf("%d flows, %d datagrams, want 1, 2", e.h.Len(), e.h.Stats.ToHost)
			}
		})
	}
}

// quotedPacket checks the packet in an error as if it were a frame.
func quotedPacket(t *testing.T, m packet.ICMP) *coretest.Frame {
	b := make([]byte, packet.EthLen, packet.MinFrameLen+len(m))
	etherType := uint16(packet.EtherTypeIP4)
	if m.Payload()[0]>>4 == 6 {
		etherType = packet.EtherTypeIP6
	}
	packet.PutEthernet(b, packet.Broadcast, coretest.OurMAC, etherType)
	b = append(b, m.Payload()...)
	for len(b) < packet.MinFrameLen {
		b = append(b, 0)
	}
	f := &coretest.Frame{Raw: b}
	if d := f.Parse(b); d != packet.DropNone || !f.VerifyL4() {
		t.Fatalf("quoted packet: %v, checksum %v: % x", d, f.VerifyL4(), m.Payload())
	}
	return f
}

// TestPacketTooBig checks the error that a router's limit turns into.
func TestPacketTooBig(t *testing.T) {
	for _, tt := range []struct {
		name           string
		fam            coretest.Family
		err            sys.ExtendedErr
		typ, code, mtu uint32
	}{
		{"fragmentation needed", coretest.Families[0], sys.ExtendedErr{Origin: sys.OriginICMP, Type: 3, Code: 4}, 3, 4, 1280},
		{"packet too big", coretest.Families[1], sys.ExtendedErr{Origin: sys.OriginICMP6, Type: 2}, 2, 0, 1280},
		{"our own limit", coretest.Families[0], sys.ExtendedErr{Origin: sys.OriginLocal}, 3, 4, 1280},
		{"our own limit, IPv6", coretest.Families[1], sys.ExtendedErr{Origin: sys.OriginLocal}, 2, 0, 1280},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			peer := hostSocket(t, tt.fam.Loopback.String())
			e.guestSends(coretest.UDP(netip.AddrPortFrom(tt.fam.Guest, 1025), netip.AddrPortFrom(tt.fam.Gateway, addrOf(peer).Port()), nil))
			tt.err.Errno, tt.err.Info = syscall.EMSGSIZE, 1280
			e.h.passError(e.h.table.Key(0), e.h.flows[0].host, &tt.err, make([]byte, 1400))
			f := e.guestError()
			m := f.ICMP(t)
			mtu := uint32(m.ID())<<16 | uint32(m.Seq())
			if uint32(m.Type()) != tt.typ || uint32(m.Code()) != tt.code || mtu != tt.mtu {
				t.Errorf("type %d code %d MTU %d, want %d, %d, %d", m.Type(), m.Code(), mtu, tt.typ, tt.code, tt.mtu)
			}
			if len(f.L3) > packet.MaxICMPError {
				t.Errorf("%d bytes, want at most %d", len(f.L3), packet.MaxICMPError)
			}
		})
	}
}

// TestClientGone checks that the error about a reply to a forward's client
// reaches the guest, although it comes to a socket that serves many.
func TestClientGone(t *testing.T) {
	for _, bind := range []string{"127.0.0.1", "::"} {
		e := newEnv(t, coretest.AllFeatures)
		addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.listen(bind, netip.Addr{}, 53).Port())
		client := hostSocket(t, "127.0.0.1")
		send(t, client, addr, []byte("query"))
		e.guestGets(1)
		_ = client.Close()
		port := addrOf(client).Port()
		e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 53), netip.AddrPortFrom(gateway4, port), []byte("late")))
		m := e.guestError().ICMP(t)
		var q packet.Quoted
		if !packet.ParseQuoted(m, &q) || m.Code() != packet.ICMPCodePort || q.SrcPort != 53 || q.DstPort != port {
			t.Errorf("listener %s: code %d about %+v, want %d about 53 > %d", bind, m.Code(), q, packet.ICMPCodePort, port)
		}
	}
}

// refuseFrom is the ICMP error that the guest sends about datagram f.
func refuseFrom(t *testing.T, f *coretest.Frame) []byte {
	typ, code := uint8(packet.ICMPUnreachable), uint8(packet.ICMPCodePort)
	if f.Proto != packet.ProtoUDP {
		t.Fatalf("protocol %d", f.Proto)
	}
	if !f.Dst.Is4() {
		typ, code = packet.ICMPv6Unreachable, packet.ICMPv6CodePort
	}
	return coretest.ICMP(f.Dst.Netip(), f.Src.Netip(), typ, code, 0, f.L3)
}

// TestGuestRefusesReply checks that the host-side peer learns of it: the host's
// kernel refuses the next datagram.
func TestGuestRefusesReply(t *testing.T) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			peer := hostSocket(t, fam.Loopback.String())
			src, dst := netip.AddrPortFrom(fam.Guest, 40011), netip.AddrPortFrom(fam.Gateway, addrOf(peer).Port())
			e.guestSends(coretest.UDP(src, dst, []byte("query")))
			_, from := receive(t, peer)
			send(t, peer, from, []byte("late answer"))
			e.guestSends(refuseFrom(t, e.guestGets(1)[0]))
			if e.h.Len() != 0 || e.h.Stats.GuestErrors != 1 {
				t.Errorf("%d flows after %d errors, want 0 after 1", e.h.Len(), e.h.Stats.GuestErrors)
			}
			fd, _ := sys.Socket(sys.Family(packet.AddrFrom(from.Addr())), syscall.SOCK_DGRAM, 0)
			defer sys.Close(fd)
			local := sys.MakeSockAddr(packet.AddrFrom(addrOf(peer).Addr()), addrOf(peer).Port(), 0)
			_ = peer.Close()
			to := sys.MakeSockAddr(packet.AddrFrom(from.Addr()), from.Port(), 0)
			if errno := sys.Bind(fd, &local); errno != 0 {
				t.Fatal(errno)
			}
			if errno := sys.Connect(fd, &to); errno != 0 {
				t.Fatal(errno)
			}
			if _, errno := sys.Send(fd, []byte("another"), 0); errno != 0 {
				t.Fatal(errno)
			}
			if errno := sys.SocketError(fd); errno != syscall.ECONNREFUSED {
				t.Errorf("peer sees %v, want ECONNREFUSED", errno)
			}
		})
	}
}

func TestGuestErrorsThatEndNothing(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	peer := hostSocket(t, "127.0.0.1")
	e.guestSends(coretest.UDP(netip.AddrPortFrom(guest4, 40012), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil))
	_, from := receive(t, peer)
	send(t, peer, from, []byte("answer"))
	f := e.guestGets(1)[0]
	other := append([]byte(nil), f.L3...)
	other[21]++ // source port
	for _, frame := range [][]byte{
		coretest.ICMP(guest4, gateway4, packet.ICMPUnreachable, packet.ICMPCodeFragNeeded, 1280, f.L3),
		coretest.ICMP(guest4, gateway4, packet.ICMPTimeExceeded, 0, 0, f.L3),
		coretest.ICMP(guest4, gateway4, packet.ICMPUnreachable, packet.ICMPCodePort, 0, f.L3[:24]),
		coretest.ICMP(guest4, gateway4, packet.ICMPUnreachable, packet.ICMPCodePort, 0, other),
	} {
		e.guestSends(frame)
	}
	if e.h.Len() != 1 {
		t.Errorf("%d flows, want 1", e.h.Len())
	}
}

func TestExpire(t *testing.T) {
	sec := func(n int64) int64 { return n * int64(time.Second) }
	e := newEnv(t, coretest.AllFeatures)
	peer := hostSocket(t, "127.0.0.1")
	frame := coretest.UDP(netip.AddrPortFrom(guest4, 40013), netip.AddrPortFrom(gateway4, addrOf(peer).Port()), nil)
	e.guestSends(frame)
	_, from := receive(t, peer)
	e.Now = sec(20)
	e.guestSends(frame)
	for _, step := range []struct {
		at   int64
		next int64
	}{{29, 50}, {30, 50}, {49, 50}} { // one direction only: 30 s since the last
		if e.h.Expire(sec(step.at)); e.h.NextDeadline() != sec(step.next) {
			t.Errorf("at %d s: due at %v, want %d s", step.at, time.Duration(e.h.NextDeadline()), step.next)
		}
	}
	e.Now = sec(49)
	send(t, peer, from, nil)
	e.guestGets(1)
	e.h.Expire(sec(168))
	if e.h.Len() != 1 {
		t.Error("flow with replies ended after less than 120 s")
	}
	e.h.Expire(sec(169))
	if e.h.Len() != 0 || e.h.NextDeadline() != loop.NoDeadline {
		t.Errorf("%d flows after 120 s without traffic, want 0", e.h.Len())
	}
}

// TestClosedAddresses checks what becomes of datagrams to addresses of our own that
// lead nowhere.
func TestClosedAddresses(t *testing.T) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) {
			cfg := coretest.Config()
			for _, f := range []*config.Family{&cfg.V4, &cfg.V6} {
				f.MapHostLoopback, f.Own = netip.Addr{}, []netip.Addr{f.Gateway}
				f.Closed = f.Own
			}
			e := newEnvWith(t, coretest.AllFeatures, cfg)
			e.guestSends(coretest.UDP(netip.AddrPortFrom(fam.Guest, 1025), netip.AddrPortFrom(fam.Gateway, 53), []byte("query")))
			m := e.guestError().ICMP(t)
			want := uint8(packet.ICMPUnreachable)
			if fam.Guest.Is6() {
				want = packet.ICMPv6Unreachable
			}
			if m.Type() != want || m.Code() != 0 || e.h.Len() != 0 {
				t.Errorf("type %d code %d, %d flows, want %d, 0 and none", m.Type(), m.Code(), e.h.Len(), want)
			}
		})
	}
}
