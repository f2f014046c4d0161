package tap_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/pcap"
	"github.com/pasta-net/pasta/core/tap"
)

// received passes one frame with its virtio-net header through a new link.
func received(t testing.TB, v coretest.Vnet, frame []byte) (packet.Packet, packet.Drop, *tap.Link) {
	t.Helper()
	link, dev := coretest.NewLink(t, coretest.AllFeatures)
	dev.InjectVnet(v, frame)
	var p packet.Packet
	drop, errno := link.Recv(make([]byte, tap.RecvLen), &p)
	if errno != 0 {
		t.Fatal(errno)
	}
	return p, drop, link
}

// vnetCase is a frame whose virtio-net header may lie.
type vnetCase struct {
	name  string
	vnet  coretest.Vnet
	frame []byte
	want  packet.Drop
	gso   packet.GSO
}

func vnetCases() []vnetCase {
	e4, e6 := families["IPv4"], families["IPv6"]
	udp := coretest.UDP(e4.guest, e4.our, pattern(100))
	wrong := bytes.Clone(udp)
	wrong[len(wrong)-1] ^= 1
	tcp := coretest.TCP(e6.guest, e6.our, packet.TCPHeader{Flags: packet.ACK, WScale: -1}, pattern(5000))
	vTCP, superTCP := coretest.Partial(bytes.Clone(tcp), 1400)
	vUDP, superUDP := coretest.Partial(bytes.Clone(udp), 30)
	with := func(v coretest.Vnet, change func(*coretest.Vnet)) coretest.Vnet { change(&v); return v }
	return []vnetCase{
		{"nothing offloaded", coretest.Vnet{}, udp, packet.DropNone, 0},
		{"wrong checksum", coretest.Vnet{}, wrong, packet.DropChecksum, 0},
		{"wrong checksum vouched for", coretest.Vnet{Flags: 2}, wrong, packet.DropNone, 0},
		{"TCP super-frame", vTCP, superTCP, packet.DropNone, packet.GSOTCP},
		{"with ECN", with(vTCP, func(v *coretest.Vnet) { v.GSOType |= 0x80 }), superTCP, packet.DropNone, packet.GSOTCP},
		{"UDP super-frame", vUDP, superUDP, packet.DropNone, packet.GSOUDP},
		{"segments of zero bytes", with(vTCP, func(v *coretest.Vnet) { v.GSOSize = 0 }), superTCP, packet.DropOffload, 0},
		{"datagrams of zero bytes", with(vUDP, func(v *coretest.Vnet) { v.GSOSize = 0 }), superUDP, packet.DropOffload, 0},
		{"too many datagrams", with(vUDP, func(v *coretest.Vnet) { v.GSOSize = 1 }), coretest.UDP(e4.guest, e4.our, pattern(1025)), packet.DropOffload, 0},
		{"just not too many datagrams", with(vUDP, func(v *coretest.Vnet) { v.GSOSize = 1 }), coretest.UDP(e4.guest, e4.our, pattern(1024)), packet.DropNone, packet.GSOUDP},
		{"datagrams of zero bytes, empty", with(vUDP, func(v *coretest.Vnet) { v.GSOSize = 0 }), coretest.UDP(e4.guest, e4.our, nil), packet.DropOffload, 0},
		{"TCP kind on UDP", with(vUDP, func(v *coretest.Vnet) { v.GSOType = 1 }), superUDP, packet.DropOffload, 0},
		{"UDP kind on TCP", with(vTCP, func(v *coretest.Vnet) { v.GSOType = 5 }), superTCP, packet.DropOffload, 0},
		{"fragmentation offload", with(vUDP, func(v *coretest.Vnet) { v.GSOType = 3 }), superUDP, packet.DropOffload, 0},
		{"unknown kind", with(vUDP, func(v *coretest.Vnet) { v.GSOType = 0x7f }), superUDP, packet.DropOffload, 0},
		{"checksum start beyond frame", with(vUDP, func(v *coretest.Vnet) { v.CsumStart = 0xffff }), superUDP, packet.DropOffload, 0},
		{"checksum of an inner packet", with(vUDP, func(v *coretest.Vnet) { v.CsumStart += 30 }), superUDP, packet.DropOffload, 0},
		{"checksum offset beyond frame", with(vTCP, func(v *coretest.Vnet) { v.CsumAt = 0xffff }), superTCP, packet.DropOffload, 0},
		{"header length beyond frame is not used", with(vTCP, func(v *coretest.Vnet) { v.HdrLen = 0xffff }), superTCP, packet.DropNone, packet.GSOTCP},
		{"segments larger than the frame", with(vUDP, func(v *coretest.Vnet) { v.GSOSize = 0xffff }), superUDP, packet.DropNone, packet.GSOUDP},
		{"super-frame without partial checksum", with(vTCP, func(v *coretest.Vnet) { v.Flags = 0 }), superTCP, packet.DropChecksum, packet.GSOTCP},
	}
}

func TestRecvVnetHeader(t *testing.T) {
	for _, tt := range vnetCases() {
		t.Run(tt.name, func(t *testing.T) {
			p, drop, link := received(t, tt.vnet, tt.frame)
			if drop != tt.want {
				t.Fatalf("got %v, want %v", drop, tt.want)
			}
			wantDrops := [packet.NumDrops]uint64{}
			if drop != packet.DropNone {
				wantDrops[drop] = 1
			} else if p.GSO != tt.gso || !p.CsumOK || tt.gso != packet.GSONone && p.GSOSize != tt.vnet.GSOSize {
				t.Errorf("kind %d by %d, checksum %v, want %d by %d, true", p.GSO, p.GSOSize, p.CsumOK, tt.gso, tt.vnet.GSOSize)
			}
			want := tap.Stats{FromGuest: 1, FromGuestBytes: uint64(len(tt.frame)), Drops: wantDrops}
			if link.Stats != want {
				t.Errorf("stats %+v, want %+v", link.Stats, want)
			}
		})
	}
}

func TestRecvShortAndLong(t *testing.T) {
	tests := []struct {
		name string
		raw  []byte
	}{
		{"nothing", nil},
		{"part of the header", make([]byte, tap.VnetLen-1)},
		{"header alone", make([]byte, tap.VnetLen)},
		{"longer than any frame", make([]byte, tap.RecvLen+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			link, dev := coretest.NewLink(t, coretest.AllFeatures)
			dev.InjectRaw(tt.raw)
			var p packet.Packet
			drop, errno := link.Recv(make([]byte, tap.RecvLen), &p)
			if drop != packet.DropShort || errno != 0 || link.Stats.Drops[packet.DropShort] != 1 {
				t.Errorf("Recv = %v, %v, want short", drop, errno)
			}
		})
	}
}

// TestRecvLongest: 64 KiB fit, more than the MTU of a tap (65521) and than its
// super-frames.
func TestRecvLongest(t *testing.T) {
	for family, e := range families {
		n := 65535 - packet.IPv4Len - packet.UDPLen
		if e.our.Addr().Is6() {
			n = 65536 - packet.IPv6Len - packet.UDPLen
		}
		frame := coretest.UDP(e.guest, e.our, pattern(n))
		if p, drop, _ := received(t, coretest.Vnet{}, frame); drop != packet.DropNone || len(p.L4) != packet.UDPLen+n {
			t.Errorf("%s: %v with %d bytes, want %d", family, drop, len(p.L4), packet.UDPLen+n)
		}
	}
}

func TestRecvNoAllocation(t *testing.T) {
	for _, c := range vnetCases() {
		link, dev := coretest.NewLink(t, coretest.AllFeatures)
		buf := make([]byte, tap.RecvLen)
		var p packet.Packet
		if n := testing.AllocsPerRun(100, func() {
			dev.InjectVnet(c.vnet, c.frame)
			link.Recv(buf, &p)
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", c.name, n)
		}
	}
}

// FuzzVnet: whatever stands in front of a frame, and whatever the frame, Recv gives
// a packet whose parts lie in the frame, or a reason.
func FuzzVnet(f *testing.F) {
	for _, c := range vnetCases() {
		h := [tap.VnetLen]byte{c.vnet.Flags, c.vnet.GSOType}
		binary.LittleEndian.PutUint16(h[2:], c.vnet.HdrLen)
		binary.LittleEndian.PutUint16(h[4:], c.vnet.GSOSize)
		binary.LittleEndian.PutUint16(h[6:], c.vnet.CsumStart)
		binary.LittleEndian.PutUint16(h[8:], c.vnet.CsumAt)
		f.Add(append(h[:], c.frame...))
	}
	link, dev := coretest.NewLink(f, coretest.AllFeatures)
	buf := make([]byte, tap.RecvLen)
	f.Fuzz(func(t *testing.T, raw []byte) {
		dev.InjectRaw(raw)
		var p packet.Packet
		drop, errno := link.Recv(buf, &p)
		if errno != 0 {
			t.Fatal(errno)
		}
		if drop != packet.DropNone || p.EtherType == packet.EtherTypeARP {
			return
		}
		if off := p.L4Offset(); !p.CsumOK || off < packet.EthLen+packet.IPv4Len || off+len(p.L4) > len(raw)-tap.VnetLen {
			t.Errorf("transport part at %d with %d bytes of a frame of %d", off, len(p.L4), len(raw)-tap.VnetLen)
		}
		if p.GSO != packet.GSONone && p.GSOSize == 0 {
			t.Error("segments of zero bytes")
		}
	})
}

// TestCapture: the file has the frames of both directions, those that the device
// refused left out.
func TestCapture(t *testing.T) {
	for _, feat := range []tap.Features{{}, coretest.AllFeatures} {
		link, dev := coretest.NewLink(t, feat)
		file, err := os.Create(filepath.Join(t.TempDir(), "capture"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		link.Capture(pcap.NewWriter(int(file.Fd()), func(err error) { t.Error(err) }))
		e := families["IPv4"]
		request := coretest.UDP(e.guest, e.our, []byte("request"))
		dev.Inject(request)
		var p packet.Packet
		if drop, errno := link.Recv(make([]byte, tap.RecvLen), &p); drop != packet.DropNone || errno != 0 {
			t.Fatal(drop, errno)
		}
		dev.Refuse(1, syscall.EAGAIN)
		for range 2 {
			e.sendUDP(link, []byte("reply"), 0)
		}
		b, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		const fileHeader, record = 24, 16
		want := fileHeader + record + len(request) + record + packet.MinFrameLen
		if len(b) != want || !bytes.Contains(b, request) || bytes.Count(b, []byte("reply")) != 1 {
			t.Errorf("%+v: capture of %d bytes, want %d with request and one reply:\n% x", feat, len(b), want, b)
		}
	}
}

// TestRecvUnsummed: checksums that are missing are accepted where the link allows it,
// wrong ones nowhere.
func TestRecvUnsummed(t *testing.T) {
	e := families["IPv4"]
	const ipSum, tcpSum = 14 + 10, 14 + 20 + packet.TCPCsumOff
	frame := coretest.TCP(e.guest, e.our, packet.TCPHeader{Flags: packet.ACK, WScale: -1}, pattern(5))
	with := func(at int, sum uint16) []byte {
		f := bytes.Clone(frame)
		binary.BigEndian.PutUint16(f[at:], sum)
		return f
	}
	neither := with(ipSum, 0)
	binary.BigEndian.PutUint16(neither[tcpSum:], 0)
	for _, tt := range []struct {
		name            string
		frame           []byte
		unsummed, plain packet.Drop
	}{
		{"complete", frame, packet.DropNone, packet.DropNone},
		{"no IP checksum", with(ipSum, 0), packet.DropNone, packet.DropChecksum},
		{"no TCP checksum", with(tcpSum, 0), packet.DropNone, packet.DropChecksum},
		{"neither", neither, packet.DropNone, packet.DropChecksum},
		{"wrong IP checksum", with(ipSum, 1), packet.DropChecksum, packet.DropChecksum},
		{"wrong TCP checksum", with(tcpSum, 1), packet.DropChecksum, packet.DropChecksum},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for unsummed, want := range map[bool]packet.Drop{true: tt.unsummed, false: tt.plain} {
				link, dev := coretest.NewLink(t, tap.Features{Unsummed: unsummed})
				dev.Inject(tt.frame)
				var p packet.Packet
				if drop, errno := link.Recv(make([]byte, tap.RecvLen), &p); drop != want || errno != 0 {
					t.Errorf("unsummed %v: %v, %v, want %v", unsummed, drop, errno, want)
				}
			}
		})
	}
}
