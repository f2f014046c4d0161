package coretest

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

var (
	src4, dst4 = netip.MustParseAddrPort("10.0.0.2:1000"), netip.MustParseAddrPort("10.0.0.1:2000")
	src6, dst6 = netip.MustParseAddrPort("[fd00::2]:1000"), netip.MustParseAddrPort("[fd00::1]:2000")
)

func TestBuiltFramesPassTheLink(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		proto uint8
	}{
		{"UDP", UDP(src4, dst4, []byte("x")), packet.ProtoUDP},
		{"UDP, IPv6", UDP(src6, dst6, nil), packet.ProtoUDP},
		{"TCP", TCP(src4, dst4, packet.TCPHeader{Flags: packet.SYN, MSS: 1460, WScale: 7}, nil), packet.ProtoTCP},
		{"TCP, IPv6", TCP(src6, dst6, packet.TCPHeader{Flags: packet.ACK}, []byte("data")), packet.ProtoTCP},
		{"echo", Echo(src4.Addr(), dst4.Addr(), 1, 2, []byte("ping")), packet.ProtoICMP},
		{"echo, IPv6", Echo(src6.Addr(), dst6.Addr(), 1, 2, []byte("ping")), packet.ProtoICMPv6},
		{"other TTL", SetTTL(UDP(src4, dst4, nil), 3), packet.ProtoUDP},
	} {
		for _, feat := range []tap.Features{{}, AllFeatures} {
			t.Run(tt.name, func(t *testing.T) {
				link, dev := NewLink(t, feat)
				dev.Inject(tt.frame)
				var p packet.Packet
				if d, errno := link.Recv(make([]byte, tap.RecvLen), &p); d != packet.DropNone || errno != 0 {
					t.Fatalf("Recv = %v, %v, want a good packet", d, errno)
				}
				if p.Proto != tt.proto || !p.CsumOK {
					t.Errorf("protocol %d, checksum %v, want %d, true", p.Proto, p.CsumOK, tt.proto)
				}
				if _, errno := link.Recv(make([]byte, tap.RecvLen), &p); errno != syscall.EAGAIN {
					t.Errorf("second Recv = %v, want EAGAIN", errno)
				}
			})
		}
	}
}

func TestPartialFrameIsSuperFrame(t *testing.T) {
	link, dev := NewLink(t, AllFeatures)
	dev.InjectVnet(Partial(UDP(src6, dst6, make([]byte, 3000)), 1000))
	var p packet.Packet
	if d, errno := link.Recv(make([]byte, tap.RecvLen), &p); d != packet.DropNone || errno != 0 {
		t.Fatalf("Recv = %v, %v, want a good packet", d, errno)
	}
	if p.GSO != packet.GSOUDP || p.GSOSize != 1000 || !p.CsumOK {
		t.Errorf("GSO %d of %d, checksum %v, want %d of 1000, true", p.GSO, p.GSOSize, p.CsumOK, packet.GSOUDP)
	}
}

// sendUDP sends a datagram, or a super-frame of size bytes a piece, to the guest.
func sendUDP(link *tap.Link, payload []byte, size int) (int, syscall.Errno) {
	h := packet.IPHeader{
		Src: packet.AddrFrom(dst4.Addr()), Dst: packet.AddrFrom(src4.Addr()), Proto: packet.ProtoUDP,
		TTL: packet.DefaultTTL, PayloadLen: packet.UDPLen + len(payload),
	}
	b := link.Headers()
	n := packet.PutIP(b, &h)
	packet.PutUDP(b[n:], 2000, 1000, len(payload))
	tx := tap.Tx{HdrLen: n + packet.UDPLen, IPLen: n, CsumOff: packet.UDPCsumOff}
	if size > 0 {
		tx.GSO, tx.GSOSize = packet.GSOUDP, size
	}
	return link.Send(&tx, payload)
}

func TestTakeCutsSuperFrames(t *testing.T) {
	for _, feat := range []tap.Features{{}, {VnetHdr: true}, {VnetHdr: true, Checksum: true}, AllFeatures} {
		link, dev := NewLink(t, feat)
		payload := bytes.Repeat([]byte("0123456789"), 25)
		if n, errno := sendUDP(link, payload, 100); n != 250 || errno != 0 {
			t.Fatalf("Send = %d, %v, want 250, 0", n, errno)
		}
		got := Datagrams(t, dev.Take(t))
		if len(got) != 3 || !bytes.Equal(bytes.Join(got, nil), payload) || len(got[2]) != 50 {
			t.Errorf("%+v: datagrams %q, want 100, 100 and 50 bytes of %q", feat, got, payload)
		}
	}
}

func TestRefuse(t *testing.T) {
	link, dev := NewLink(t, AllFeatures)
	dev.Refuse(1, syscall.ENOBUFS)
	if _, errno := sendUDP(link, nil, 0); errno != syscall.ENOBUFS {
		t.Errorf("first Send = %v, want ENOBUFS", errno)
	}
	if _, errno := sendUDP(link, nil, 0); errno != 0 || dev.Sent() != 1 {
		t.Errorf("second Send = %v with %d frames, want success and 1", errno, dev.Sent())
	}
}

func TestLossyKeepsOrLosesWholeFrames(t *testing.T) {
	dev := NewMemTap(t, tap.Features{})
	l := NewLossy(dev, Faults{}, Faults{Lose: 0.1, Repeat: 0.1, Reorder: 0.1}, 1)
	const frames = 1000
	for i := range frames {
		dev.Inject(UDP(src4, dst4, []byte{byte(i >> 8), byte(i)}))
	}
	got, buf := 0, make([]byte, tap.RecvLen)
	for {
		var p packet.Packet
		n, errno := l.Recv(buf)
		if errno == syscall.EAGAIN {
			break
		}
		if d := p.Parse(buf[:n]); d != packet.DropNone {
			t.Fatalf("frame %d: %v", got, d)
		}
		got++
	}
	if got != frames-l.Lost+l.Repeated || l.Lost == 0 || l.Repeated == 0 || l.Reordered == 0 {
		t.Errorf("%d frames with %d lost, %d repeated, %d reordered", got, l.Lost, l.Repeated, l.Reordered)
	}
}

func TestLossySend(t *testing.T) {
	dev := NewMemTap(t, tap.Features{})
	l := NewLossy(dev, Faults{Lose: 0.1, Repeat: 0.1, Reorder: 0.1}, Faults{}, 2)
	const frames = 1000
	for range frames {
		l.Send(UDP(src4, dst4, make([]byte, 20)), nil)
	}
	l.Flush()
	if got := len(dev.Take(t)); got != frames-l.Lost+l.Repeated || l.Reordered == 0 {
		t.Errorf("%d frames with %d lost, %d repeated, %d reordered", got, l.Lost, l.Repeated, l.Reordered)
	}
}
