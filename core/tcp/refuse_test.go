package tcp

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
)

func TestRefusedConnectionIsReset(t *testing.T) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	_ = l.Close()
	p.send(seg{flags: syn, wnd: 65535})
	p.await(seg{flags: rst | ack, ack: 1})
	p.expectGone()
}

func TestFailedConnect(t *testing.T) {
	for _, tt := range []struct {
		name         string
		errno        syscall.Errno
		typ4, typ6   uint8 // of the ICMP message; 0: RST
		code4, code6 uint8
		silent       bool
	}{
		{name: "refused", errno: syscall.ECONNREFUSED},
		{name: "reset", errno: syscall.ECONNRESET},
		{name: "no answer", errno: syscall.ETIMEDOUT, silent: true},
		{name: "no route", errno: syscall.ENETUNREACH, typ4: 3, code4: 0, typ6: 1, code6: 0},
		{name: "no neighbour", errno: syscall.EHOSTUNREACH, typ4: 3, code4: 1, typ6: 1, code6: 3},
		{name: "forbidden", errno: syscall.EACCES, typ4: 3, code4: 13, typ6: 1, code6: 1},
	} {
		for n := range 4 {
			v4, late := n&1 == 0, n&2 != 0
			t.Run(fmt.Sprintf("%s, IPv4 %v, late %v", tt.name, v4, late), func(t *testing.T) {
				typ, code := tt.typ6, tt.code6
				if v4 {
					typ, code = tt.typ4, tt.code4
				}
				testFailedConnect(t, v4, late, tt.errno, typ, code, tt.silent)
			})
		}
	}
}

// testFailedConnect lets the host's attempt fail with errno, at once or later.
func testFailedConnect(t *testing.T, v4, late bool, errno syscall.Errno, typ, code uint8, silent bool) {
	e := newEnv(t, setup{})
	l := hostListener(t, "127.0.0.1", 0)
	p := e.newPeer(portOf(l.Addr()))
	if !v4 {
		l = hostListener(t, "::1", 0)
		p.guest, p.remote = netip.AddrPortFrom(guest6, guestPort), netip.AddrPortFrom(gateway6, portOf(l.Addr()))
	}
	p.inject(seg{flags: syn, wnd: 65535})
	if late {
		e.fromTap()
		i, c := e.live()
		e.h.connectFailed(i, c, errno)
	} else {
		batch, _ := e.Batch(1)
		s, ok := packet.ParseTCP(batch[0].L4)
		if !ok {
			t.Fatal("the guest's SYN does not parse")
		}
		k := flow.Key{Guest: batch[0].Src, Peer: batch[0].Dst, GuestPort: s.SrcPort(), PeerPort: s.DstPort()}
		e.h.refuse(&k, s.Seq(), errno)
	}
	e.expectGone()
	switch frames := e.Dev.Take(t); {
	case silent:
		if len(frames) != 0 {
			t.Errorf("%d frames, want silence", len(frames))
		}
	case typ == 0:
		if got := frames[0].TCP(t); got.Flags() != rst|ack || got.Ack() != guestISS+1 {
			t.Errorf("flags %#x, ack %d, want RST,ACK of %d", got.Flags(), got.Ack(), guestISS+1)
		}
	default:
		checkUnreachable(t, p, frames[0], typ, code)
	}
}

func checkUnreachable(t *testing.T, p *peer, f *coretest.Frame, typ, code uint8) {
	t.Helper()
	m := f.ICMP(t)
	if m.Type() != typ || m.Code() != code {
		t.Errorf("ICMP type %d code %d, want %d and %d", m.Type(), m.Code(), typ, code)
	}
	var quoted packet.Packet
	etherType := []byte{0x86, 0xdd}
	if p.guest.Addr().Is4() {
		etherType = []byte{0x08, 0x00}
	}
	frame := append(append(make([]byte, 12), etherType...), m.Payload()...)
	if d := quoted.Parse(frame); d != packet.DropNone {
		t.Fatalf("quoted packet does not parse: %v", d)
	}
	s, ok := packet.ParseTCP(quoted.L4)
	if !ok || quoted.Src.Netip() != p.guest.Addr() || quoted.Dst.Netip() != p.remote.Addr() ||
		s.SrcPort() != p.guest.Port() || s.DstPort() != p.remote.Port() || s.Seq() != p.iss {
		t.Errorf("quoted % x is not the guest's SYN", quoted.L3)
	}
}

func TestResetOnUnknownSegment(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   seg
		want []seg
	}{
		{"ACK", seg{flags: ack, seq: 5, ack: 77}, []seg{{flags: rst, seq: 77}}},
		{"FIN,ACK", seg{flags: fin | ack, seq: 5, ack: 77}, []seg{{flags: rst, seq: 77}}},
		{"FIN", seg{flags: fin, seq: 5}, []seg{{flags: rst | ack, ack: 6}}},
		{"data without ACK", seg{flags: psh, seq: 5, data: "four"}, []seg{{flags: rst | ack, ack: 9}}},
		{"SYN,ACK", seg{flags: syn | ack, seq: 5, ack: 77}, []seg{{flags: rst, seq: 77}}},
		{"SYN,FIN", seg{flags: syn | fin, seq: 5}, []seg{{flags: rst | ack, ack: 7}}},
		{"RST", seg{flags: rst, seq: 5}, nil},
		{"RST,ACK", seg{flags: rst | ack, seq: 5, ack: 77}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).newPeer(80)
			p.send(tt.in)
			p.expect(tt.want...)
			p.expectGone()
		})
	}
}

func TestNoAnswerToUnusableAddresses(t *testing.T) {
	for _, tt := range []struct{ name, src, dst string }{
		{"multicast destination", "10.66.0.2:1000", "224.0.0.1:80"},
		{"broadcast destination", "10.66.0.2:1000", "255.255.255.255:80"},
		{"loopback source", "127.0.0.1:1000", "10.66.0.1:80"},
		{"loopback destination", "10.66.0.2:1000", "127.0.0.1:80"},
		{"unspecified source", "0.0.0.0:1000", "10.66.0.1:80"},
		{"multicast source", "224.0.0.1:1000", "10.66.0.1:80"},
		{"source port 0", "10.66.0.2:0", "10.66.0.1:80"},
		{"destination port 0", "10.66.0.2:1000", "10.66.0.1:0"},
		{"land", "10.66.0.2:1000", "10.66.0.2:1000"},
		{"IPv6 multicast", "[fd66::2]:1000", "[ff02::1]:80"},
		{"IPv6 unspecified", "[::]:1000", "[fd66::1]:80"},
	} {
		for _, flags := range []uint8{syn, ack} {
			t.Run(fmt.Sprintf("%s, flags %#x", tt.name, flags), func(t *testing.T) {
				e := newEnv(t, setup{})
				src, dst := netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst)
				e.Dev.Inject(coretest.TCP(src, dst, packet.TCPHeader{Flags: flags}, nil))
				e.turn(0)
				if n := e.Dev.Sent(); n != 0 {
					t.Errorf("%d frames sent, want none", n)
				}
				e.expectGone()
			})
		}
	}
}

// TestClosedAddresses checks what becomes of connections to addresses of our own that
// lead nowhere.
func TestClosedAddresses(t *testing.T) {
	for _, closed := range []bool{true, false} {
		for _, v4 := range []bool{true, false} {
			t.Run(fmt.Sprintf("closed %v, IPv4 %v", closed, v4), func(t *testing.T) {
				e := newEnv(t, setup{alter: func(c *config.Config) {
					for f, gateway := range map[*config.Family]netip.Addr{&c.V4: gateway4, &c.V6: gateway6} {
						f.MapHostLoopback, f.Own = netip.Addr{}, []netip.Addr{gateway}
						if closed {
							f.Closed = f.Own
						}
					}
				}})
				p := e.newPeer(80)
				typ := uint8(packet.ICMPUnreachable)
				if !v4 {
					p.guest, p.remote = netip.AddrPortFrom(guest6, guestPort), netip.AddrPortFrom(gateway6, 80)
					typ = packet.ICMPv6Unreachable
				}
				p.inject(seg{flags: syn, wnd: 65535})
				e.fromTap()
				e.expectGone()
				if closed {
					checkUnreachable(t, p, e.Dev.One(t), typ, 0)
				} else if n := e.Dev.Sent(); n != 0 {
					t.Errorf("%d frames, want silence", n)
				}
			})
		}
	}
}

func TestRefusalIsThatOfTheConfiguration(t *testing.T) {
	e := newEnv(t, setup{alter: func(c *config.Config) { c.Refusal = fwd.RefuseUnreachable }})
	p := e.newPeer(80)
	k := flow.Key{
		Guest: packet.AddrFrom(p.guest.Addr()), Peer: packet.AddrFrom(p.remote.Addr()),
		GuestPort: p.guest.Port(), PeerPort: p.remote.Port(),
	}
	e.h.refuse(&k, p.iss, syscall.EACCES)
	checkUnreachable(t, p, e.Dev.One(t), packet.ICMPUnreachable, packet.ICMPCodeNet)
}
