package tap_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/tap"
)

// ends are the addresses of a conversation, ours first.
type ends struct{ our, guest netip.AddrPort }

var families = map[string]ends{
	"IPv4": {netip.MustParseAddrPort("10.5.0.1:80"), netip.MustParseAddrPort("10.5.0.2:4000")},
	"IPv6": {netip.MustParseAddrPort("[fd05::1]:80"), netip.MustParseAddrPort("[fd05::2]:4000")},
}

// combinations are all sets of features that a device can have.
func combinations() []tap.Features {
	list := []tap.Features{{}, {VnetHdr: true}}
	for bits := range 8 {
		list = append(list, tap.Features{
			VnetHdr: true, Checksum: true, TSO4: bits&1 != 0, TSO6: bits&2 != 0, USO: bits&4 != 0,
		})
	}
	return list
}

// forEach runs f for every set of features and both families.
func forEach(t *testing.T, f func(t *testing.T, feat tap.Features, e ends)) {
	t.Helper()
	for _, feat := range combinations() {
		for family, e := range families {
			t.Run(fmt.Sprintf("%s %+v", family, feat), func(t *testing.T) { f(t, feat, e) })
		}
	}
}

// headers writes an IP header for a transport packet of l4Len bytes.
func (e ends) headers(link *tap.Link, proto uint8, l4Len int) int {
	h := packet.IPHeader{
		Src: packet.AddrFrom(e.our.Addr()), Dst: packet.AddrFrom(e.guest.Addr()),
		Proto: proto, TTL: packet.DefaultTTL, PayloadLen: l4Len,
	}
	return packet.PutIP(link.Headers(), &h)
}

// sendUDP sends a datagram, or a super-frame if size is not zero.
func (e ends) sendUDP(link *tap.Link, payload []byte, size int) (int, syscall.Errno) {
	n := e.headers(link, packet.ProtoUDP, packet.UDPLen+len(payload))
	packet.PutUDP(link.Headers()[n:], e.our.Port(), e.guest.Port(), len(payload))
	tx := tap.Tx{HdrLen: n + packet.UDPLen, IPLen: n, CsumOff: packet.UDPCsumOff}
	if size != 0 {
		tx.GSO, tx.GSOSize = packet.GSOUDP, size
	}
	return link.Send(&tx, payload)
}

// sendTCP sends a segment, or a super-frame if size is not zero.
func (e ends) sendTCP(link *tap.Link, h packet.TCPHeader, payload []byte, size int) (int, syscall.Errno) {
	h.SrcPort, h.DstPort = e.our.Port(), e.guest.Port()
	n := e.headers(link, packet.ProtoTCP, 0)
	l4Len := packet.PutTCP(link.Headers()[n:], &h)
	packet.SetIPPayloadLen(link.Headers(), l4Len+len(payload))
	tx := tap.Tx{HdrLen: n + l4Len, IPLen: n, CsumOff: packet.TCPCsumOff}
	if size != 0 {
		tx.GSO, tx.GSOSize = packet.GSOTCP, size
	}
	return link.Send(&tx, payload)
}

// pattern is n bytes that do not repeat soon.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// TestSendFrames: single packets of every length class come out valid, padded to
// the minimum, with the checksum complete or left to the device.
func TestSendFrames(t *testing.T) {
	forEach(t, func(t *testing.T, feat tap.Features, e ends) {
		for _, n := range []int{0, 1, 2, 17, 18, 19, 1400, 60000} {
			link, dev := coretest.NewLink(t, feat)
			payload := pattern(n)
			if sent, errno := e.sendUDP(link, payload, 0); sent != n || errno != 0 {
				t.Fatalf("Send = %d, %v, want %d", sent, errno, n)
			}
			frames := dev.Take(t)
			if len(frames) != 1 {
				t.Fatalf("%d frames, want 1", len(frames))
			}
			f := frames[0]
			if got := f.UDP(t).Payload(); !bytes.Equal(got, payload) {
				t.Errorf("payload % x, want % x", got, payload)
			}
			if want := max(packet.MinFrameLen, packet.EthLen+len(f.L3)); len(f.Raw) != want {
				t.Errorf("frame of %d bytes, want %d", len(f.Raw), want)
			}
			if padding := f.Raw[packet.EthLen+len(f.L3):]; !bytes.Equal(padding, make([]byte, len(padding))) {
				t.Errorf("padding % x, want zeroes", padding)
			}
			if partial := f.Vnet.Flags == coretest.NeedsCsum; partial != feat.Checksum {
				t.Errorf("partial checksum %v, want %v", partial, feat.Checksum)
			}
			if f.EthSrc != coretest.OurMAC || f.EthDst != coretest.GuestMAC {
				t.Errorf("from %x to %x", f.EthSrc, f.EthDst)
			}
			want := tap.Stats{ToGuest: 1, ToGuestBytes: uint64(len(f.Raw))}
			if link.Stats != want {
				t.Errorf("stats %+v, want %+v", link.Stats, want)
			}
		}
	})
}

// TestZeroUDPChecksum: a sum of zero goes out as ffff, because zero means that
// there is none.
func TestZeroUDPChecksum(t *testing.T) {
	for family, e := range families {
		link, dev := coretest.NewLink(t, tap.Features{})
		n := e.headers(link, packet.ProtoUDP, packet.UDPLen+2)
		var head [packet.UDPLen]byte
		packet.PutUDP(head[:], e.our.Port(), e.guest.Port(), 2)
		sum := packet.SumParts(head[:], nil, packet.PseudoSum(link.Headers(), packet.ProtoUDP, packet.UDPLen+2))
		copy(link.Headers()[n:], head[:])
		payload := []byte{byte(^sum >> 8), byte(^sum)} // makes the whole sum to ffff
		tx := tap.Tx{HdrLen: n + packet.UDPLen, IPLen: n, CsumOff: packet.UDPCsumOff}
		if _, errno := link.Send(&tx, payload); errno != 0 {
			t.Fatal(errno)
		}
		u := dev.Take(t)[0].UDP(t)
		if u[6] != 0xff || u[7] != 0xff {
			t.Errorf("%s: checksum % x, want ffff", family, u[6:8])
		}
	}
}

// TestTCPSegmentation: the guest gets the same bytes whether we cut or the device
// does, with headers as hardware makes them.
func TestTCPSegmentation(t *testing.T) {
	forEach(t, func(t *testing.T, feat tap.Features, e ends) {
		offload := feat.TSO4
		if e.our.Addr().Is6() {
			offload = feat.TSO6
		}
		const seq, flags = seqnum.Value(0xffffff00), packet.ACK | packet.PSH | packet.FIN
		for _, n := range []int{1000, 1001, 2000, 60000} {
			link, dev := coretest.NewLink(t, feat)
			payload := pattern(n)
			h := packet.TCPHeader{Seq: seq, Ack: 7, Flags: flags, Window: 9, WScale: -1}
			if sent, errno := e.sendTCP(link, h, payload, 1000); sent != n || errno != 0 {
				t.Fatalf("Send = %d, %v, want %d", sent, errno, n)
			}
			frames := dev.Take(t)
			want := (n + 999) / 1000
			if offload {
				want = 1
			}
			if len(frames) != want {
				t.Errorf("%d bytes: %d frames, want %d", n, len(frames), want)
			}
			checkStream(t, frames, seq, flags, payload)
			if offload && n > 1000 && (frames[0].GSO != packet.GSOTCP || frames[0].GSOSize != 1000) {
				t.Errorf("super-frame of kind %d by %d", frames[0].GSO, frames[0].GSOSize)
			}
		}
	})
}

// checkStream checks that frames carry payload from seq on, without gaps, and
// flags on the last of them only.
func checkStream(t *testing.T, frames []*coretest.Frame, seq seqnum.Value, flags uint8, payload []byte) {
	t.Helper()
	var got []byte
	for i, f := range frames {
		s := f.TCP(t)
		if want := seq + seqnum.Value(len(got)); s.Seq() != want || s.Ack() != 7 || s.Window() != 9 {
			t.Errorf("segment %d: seq %d, ack %d, window %d, want %d, 7, 9", i, s.Seq(), s.Ack(), s.Window(), want)
		}
		want := uint8(packet.ACK)
		if i == len(frames)-1 {
			want = flags
		}
		if s.Flags() != want {
			t.Errorf("segment %d: flags %#x, want %#x", i, s.Flags(), want)
		}
		got = append(got, s.Payload()...)
	}
	if !bytes.Equal(got, payload) {
		t.Errorf("stream of %d bytes differs from the %d sent", len(got), len(payload))
	}
}

func TestUDPSegmentation(t *testing.T) {
	forEach(t, func(t *testing.T, feat tap.Features, e ends) {
		link, dev := coretest.NewLink(t, feat)
		payload := pattern(2500)
		if sent, errno := e.sendUDP(link, payload, 1000); sent != len(payload) || errno != 0 {
			t.Fatalf("Send = %d, %v", sent, errno)
		}
		frames := dev.Take(t)
		if want := map[bool]int{true: 1, false: 3}[feat.USO]; len(frames) != want {
			t.Errorf("%d frames, want %d", len(frames), want)
		}
		got := coretest.Datagrams(t, frames)
		if len(got) != 3 || !bytes.Equal(got[0], payload[:1000]) || !bytes.Equal(got[1], payload[1000:2000]) ||
			!bytes.Equal(got[2], payload[2000:]) {
			t.Errorf("datagrams of %d pieces differ from what was sent", len(got))
		}
	})
}

// TestRefusedSegment: what was sent before the device was full is told.
func TestRefusedSegment(t *testing.T) {
	for family, e := range families {
		dev := coretest.NewMemTap(t, tap.Features{VnetHdr: true})
		link := tap.NewLink(&refuseAfter{Device: dev, left: 2}, coretest.OurMAC, coretest.GuestMAC)
		sent, errno := e.sendTCP(link, packet.TCPHeader{Flags: packet.ACK, WScale: -1}, pattern(5000), 1000)
		if sent != 2000 || errno != syscall.ENOBUFS {
			t.Errorf("%s: Send = %d, %v, want 2000, ENOBUFS", family, sent, errno)
		}
		if link.Stats.ToGuest != 2 || link.Stats.SendErrors != 1 || dev.Sent() != 2 {
			t.Errorf("%s: stats %+v, want 2 frames and 1 error", family, link.Stats)
		}
	}
}

// refuseAfter is a device whose queue takes left more frames.
type refuseAfter struct {
	tap.Device
	left int
}

func (r *refuseAfter) Send(hdr, payload []byte) syscall.Errno {
	if r.left == 0 {
		return syscall.ENOBUFS
	}
	r.left--
	return r.Device.Send(hdr, payload)
}

// TestSendLeavesTxAlone: callers keep one Tx for many packets.
func TestSendLeavesTxAlone(t *testing.T) {
	link, _ := coretest.NewLink(t, coretest.AllFeatures)
	e := families["IPv4"]
	n := e.headers(link, packet.ProtoUDP, packet.UDPLen)
	packet.PutUDP(link.Headers()[n:], 1, 2, 0)
	tx := tap.Tx{HdrLen: n + packet.UDPLen, IPLen: n, CsumOff: packet.UDPCsumOff, GSO: packet.GSOUDP, GSOSize: 100}
	before := tx
	if _, errno := link.Send(&tx, nil); errno != 0 || tx != before {
		t.Errorf("Send: %v, Tx %+v, want %+v", errno, tx, before)
	}
}

func TestSendPacket(t *testing.T) {
	for _, feat := range combinations() {
		link, dev := coretest.NewLink(t, feat)
		var arp [packet.ARPLen]byte
		packet.PutARP(arp[:], &packet.ARPHeader{Op: packet.ARPRequest})
		if errno := link.SendPacket(packet.Broadcast, packet.EtherTypeARP, arp[:]); errno != 0 {
			t.Fatal(errno)
		}
		f := dev.Take(t)[0]
		if f.EthDst != packet.Broadcast || f.EtherType != packet.EtherTypeARP || len(f.Raw) != packet.MinFrameLen ||
			!bytes.Equal(f.L3[:packet.ARPLen], arp[:]) || f.Vnet.Flags != 0 {
			t.Errorf("%+v: frame % x with header %+v", feat, f.Raw, f.Vnet)
		}
	}
}

func TestSendError(t *testing.T) {
	for _, fam := range coretest.Families {
		for _, feat := range combinations() {
			link, dev := coretest.NewLink(t, feat)
			msg := packet.ICMPError{
				Src: packet.AddrFrom(fam.Gateway), Dst: packet.AddrFrom(fam.Guest), Peer: packet.AddrFrom(fam.Gateway),
				Type: packet.ICMPUnreachable, Proto: packet.ProtoUDP,
			}
			var head [packet.UDPLen]byte
			packet.PutUDP(head[:], 1, 2, 4)
			if errno := link.SendError(&msg, head[:], []byte("data"), packet.UDPCsumOff); errno != 0 {
				t.Fatal(errno)
			}
			f := dev.One(t)
			var q packet.Quoted
			if !packet.ParseQuoted(f.ICMP(t), &q) || q.Src != msg.Dst || q.Dst != msg.Peer || q.SrcPort != 1 || q.DstPort != 2 {
				t.Errorf("%s, %+v: quotes %+v, want port 1 of %v to port 2 of %v", fam.Name, feat, q, fam.Guest, fam.Gateway)
			}
			if f.EthDst != coretest.GuestMAC || f.Src != msg.Src || f.Dst != msg.Dst {
				t.Errorf("%s, %+v: from %v to %v at %x", fam.Name, feat, f.Src.Netip(), f.Dst.Netip(), f.EthDst)
			}
		}
	}
}

func TestGuestMACIsLearnt(t *testing.T) {
	dev := coretest.NewMemTap(t, tap.Features{})
	link := tap.NewLink(dev, coretest.OurMAC, packet.MAC{})
	if link.GuestMAC() != packet.Broadcast {
		t.Errorf("before the first frame: %x, want broadcast", link.GuestMAC())
	}
	e := families["IPv4"]
	receive := func(src packet.MAC) {
		frame := coretest.UDP(e.guest, e.our, nil)
		copy(frame[6:], src[:])
		dev.Inject(frame)
		var p packet.Packet
		link.Recv(make([]byte, tap.RecvLen), &p)
	}
	for _, src := range []packet.MAC{coretest.GuestMAC, {2, 2, 2, 2, 2, 2}} {
		receive(src)
		if link.GuestMAC() != src {
			t.Errorf("guest %x, want %x", link.GuestMAC(), src)
		}
	}
	receive(packet.MAC{3, 0, 0, 0, 0, 1})
	if want := (packet.MAC{2, 2, 2, 2, 2, 2}); link.GuestMAC() != want {
		t.Errorf("after a frame from a group address: %x, want still %x", link.GuestMAC(), want)
	}
}

func TestSendNoAllocation(t *testing.T) {
	forEach(t, func(t *testing.T, feat tap.Features, e ends) {
		link, dev := coretest.NewLink(t, feat)
		payload := pattern(5000)
		h := packet.TCPHeader{Flags: packet.ACK, WScale: -1}
		if n := testing.AllocsPerRun(100, func() {
			e.sendTCP(link, h, payload, 1000)
			e.sendUDP(link, payload, 1000)
			e.sendUDP(link, payload[:1], 0)
			dev.Discard()
		}); n != 0 {
			t.Errorf("%v allocations, want 0", n)
		}
	})
}
