package engine

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/checksum"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

// A fuzz input is a list of steps:
//
//	control u8 | frameLen u16 | frame
//
// The lower half of control is a segment size in units of 100 bytes, if not zero;
// the upper half lets so many seconds pass, squared, once the frame is handled.
const (
	stepLen  = 3
	maxSteps = 64
	// maxTimers is how often timers expire after an input: retransmissions of
	// each connection, and more, come to an end.
	maxTimers = 64 * maxSteps
)

// checksumValid is VIRTIO_NET_HDR_F_DATA_VALID: so no input dies of its checksum.
const checksumValid = 2

func step(control byte, frame []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{control}, uint16(len(frame)))
	return append(b, frame...)
}

// nextStep takes one step off an input.
func nextStep(b []byte) (control byte, frame, rest []byte, ok bool) {
	if len(b) < stepLen {
		return 0, nil, nil, false
	}
	n := min(int(binary.BigEndian.Uint16(b[1:])), len(b)-stepLen)
	return b[0], b[stepLen : stepLen+n], b[stepLen+n:], true
}

// host is a server on the loopback that belongs to the test's own goroutine.
type host struct {
	tcp, udp []int
	conns    []int
	port     uint16
	received int // bytes over TCP
	buf      [4096]byte
	in       *sys.RecvBatch
	out      *sys.SendBatch
}

// newHost serves one port over TCP and UDP, IPv4 and IPv6.
func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{in: sys.NewRecvBatch(1, 4096), out: sys.NewSendBatch(1, 1)}
	t.Cleanup(h.close)
	for tries := 0; !h.bindAll(t); tries++ {
		if tries == 100 {
			t.Fatal("found no port that is free for TCP and UDP, IPv4 and IPv6")
		}
	}
	for _, fd := range h.tcp {
		if errno := sys.Listen(fd, 128); errno != 0 {
			t.Fatal(errno)
		}
	}
	return h
}

// bindAll makes the sockets on a common port, false if somebody has it for one of them.
func (h *host) bindAll(t testing.TB) bool {
	t.Helper()
	h.close()
	h.tcp, h.udp, h.port = nil, nil, 0
	for _, fam := range coretest.Families {
		stream := h.bind(t, fam.Loopback, syscall.SOCK_STREAM)
		if stream < 0 {
			return false
		}
		h.tcp = append(h.tcp, stream)
		datagrams := h.bind(t, fam.Loopback, syscall.SOCK_DGRAM)
		if datagrams < 0 {
			return false
		}
		h.udp = append(h.udp, datagrams)
	}
	return true
}

// bind makes a socket on the common port, which the first call chooses; negative if
// somebody has that.
func (h *host) bind(t testing.TB, ip netip.Addr, typ int) int {
	t.Helper()
	addr := packet.AddrFrom(ip)
	fd, errno := sys.Socket(sys.Family(addr), typ, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	a := sys.MakeSockAddr(addr, h.port, 0)
	if errno := sys.Bind(fd, &a); errno != 0 {
		sys.Close(fd)
		if errno == syscall.EADDRINUSE && h.port != 0 {
			return -1
		}
		t.Fatal(errno)
	}
	if errno := sys.LocalAddr(fd, &a); errno != 0 {
		t.Fatal(errno)
	}
	_, h.port = a.AddrPort()
	return fd
}

// serve greets new connections, and answers what came in.
func (h *host) serve() {
	b := h.buf[:]
	var from sys.SockAddr
	for _, l := range h.tcp {
		for {
			c, errno := sys.Accept(l, &from)
			if errno != 0 {
				break
			}
			h.conns = append(h.conns, c)
		}
	}
	for _, c := range h.conns {
		n, errno := sys.Recv(c, b, sys.MsgDontwait)
		if errno == 0 {
			h.received += n
		}
		_, _ = sys.Send(c, b[:max(n, 1)], sys.MsgDontwait|sys.MsgNosignal)
	}
	for _, u := range h.udp {
		if _, errno := h.in.Recv(u, 1, 0); errno == 0 {
			h.out.Reset()
			h.out.Begin(h.in.From(0))
			h.out.Add(h.in.Payload(0))
			_, _ = h.out.Send(u, 0)
		}
	}
}

// hangUp closes the connections, every other one with a reset.
func (h *host) hangUp() {
	for i, c := range h.conns {
		if i%2 == 1 {
			_ = sys.SetLingerReset(c)
		}
		sys.Close(c)
	}
	h.conns = h.conns[:0]
}

func (h *host) close() {
	h.hangUp()
	for _, fd := range append(h.tcp, h.udp...) {
		sys.Close(fd)
	}
}

// confine changes a frame so that nothing but the loopback can be reached: all
// IP packets go to the gateway, to the port of h or to a closed one. ARP,
// Neighbor Discovery and what does not parse stay as they are.
func (h *host) confine(frame []byte) {
	var p packet.Packet
	l4, proto := []byte(nil), uint8(0)
	switch p.Parse(frame) {
	case packet.DropNone:
		l4, proto = p.L4, p.Proto
	case packet.DropFragment:
		l4, proto = firstFragment(&p)
	default:
		return
	}
	if p.EtherType == packet.EtherTypeARP || proto == packet.ProtoICMPv6 && len(l4) > 0 &&
		l4[0] >= packet.ICMPv6RouterSolicit && l4[0] <= packet.ICMPv6Redirect {
		return
	}
	if (proto == packet.ProtoTCP || proto == packet.ProtoUDP) && len(l4) >= 4 {
		h.confinePort(l4[2:4])
	}
	list := coretest.Families
	if !p.Src.Is4() {
		copy(p.L3[24:40], list[1].Gateway.AsSlice())
		return
	}
	copy(p.L3[16:20], list[0].Gateway.AsSlice())
	header := p.L3[:len(p.L3)-len(p.L4)]
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], ^checksum.Sum(header, 0))
}

// confinePort leaves the ports of the DHCP servers, which are our own.
func (h *host) confinePort(b []byte) {
	switch port := binary.BigEndian.Uint16(b); {
	case port == 67 || port == 547:
	case port%2 == 0:
		binary.BigEndian.PutUint16(b, h.port)
	default:
		binary.BigEndian.PutUint16(b, 1)
	}
}

// fuzzGuest is a fixture whose guest sends steps.
type fuzzGuest struct {
	*fixture
	next map[guestEnd]seqnum.Value // what acknowledges all that we sent
	now  int64                     // never goes back, as the loop's clock
}

type guestEnd struct {
	addr packet.Addr
	port uint16
}

// fuzzed makes a guest on dev.
func fuzzed(t testing.TB, dev *coretest.MemTap) *fuzzGuest {
	t.Helper()
	f := &fixture{newEngine(t, testConfig(), dev), t, dev}
	return &fuzzGuest{fixture: f, next: map[guestEnd]seqnum.Value{}}
}

// acknowledge takes the acknowledgment number of a segment for a distance from the
// one that acknowledges all: no input could guess our sequence numbers.
func (f *fuzzGuest) acknowledge(frame []byte) {
	var p packet.Packet
	if p.Parse(frame) != packet.DropNone || p.Proto != packet.ProtoTCP {
		return
	}
	if s, ok := packet.ParseTCP(p.L4); ok {
		next := f.next[guestEnd{p.Src, s.SrcPort()}]
		binary.BigEndian.PutUint32(p.L4[8:], uint32(next+s.Ack()))
	}
}

// take checks the frames that the guest was sent, and notes what it can acknowledge.
func (f *fuzzGuest) take() {
	f.t.Helper()
	for _, frame := range f.dev.Take(f.t) {
		if frame.Proto != packet.ProtoTCP {
			continue
		}
		s := frame.TCP(f.t)
		n := seqnum.Value(len(s.Payload()))
		if s.Flags()&(packet.SYN|packet.FIN) != 0 {
			n++
		}
		f.next[guestEnd{frame.Dst, s.DstPort()}] = s.Seq() + n
	}
}

// run carries out all steps of an input, and then lets all timers expire, after
// which no flow may be left.
func (f *fuzzGuest) run(h *host, input []byte) {
	f.t.Helper()
	clear(f.next)
	for range maxSteps {
		control, frame, rest, ok := nextStep(input)
		if !ok {
			break
		}
		h.confine(frame)
		f.acknowledge(frame)
		f.dev.InjectVnet(f.vnet(control&0xf, frame), frame)
		f.handle()
		h.serve()
		f.handle()
		f.now += int64(control>>4) * int64(control>>4) * int64(time.Second)
		input = rest
	}
	h.hangUp()
	f.handle()
	for n := 0; n < maxTimers && f.deadline() != loop.NoDeadline; n++ {
		f.now = max(f.now, f.deadline())
		f.handle()
	}
	if f.tcp.Len() != 0 || f.udp.Len() != 0 || f.icmp.Len() != 0 {
		f.t.Errorf("flows left after all timers: %d TCP, %d UDP, %d ICMP", f.tcp.Len(), f.udp.Len(), f.icmp.Len())
	}
}

// vnet is a header that vouches for the checksum and has the segment size.
func (f *fuzzGuest) vnet(size byte, frame []byte) coretest.Vnet {
	v := coretest.Vnet{Flags: checksumValid, GSOSize: uint16(size) * 100}
	var p packet.Packet
	switch {
	case size == 0 || p.Parse(frame) != packet.DropNone:
	case p.Proto == packet.ProtoTCP:
		v.GSOType = coretest.GSOTCP4
	case p.Proto == packet.ProtoUDP:
		v.GSOType = coretest.GSOUDP
	}
	return v
}

// handle is turn with another clock, without sleeping.
func (f *fuzzGuest) handle() {
	now := f.now
	events, err := f.loop.Wait(0)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, ev := range events {
		if err := f.dispatch(ev, now); err != nil {
			f.t.Fatal(err)
		}
	}
	if f.dev.Waiting() > 0 {
		if err := f.fromTap(loop.In, now); err != nil {
			f.t.Fatal(err)
		}
	}
	f.expire(now)
	f.tcp.RunBacklog(now)
	f.flush(now)
	f.take()
}

// openFiles counts the descriptors of the process.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// conversation is something of everything in a family, as steps.
func conversation(fam coretest.Family) []byte {
	guest, peer := netip.AddrPortFrom(fam.Guest, 4000), netip.AddrPortFrom(fam.Gateway, 80)
	segment := func(seq uint32, flags uint8, payload string) []byte {
		h := packet.TCPHeader{Flags: flags, Window: 65535, WScale: -1}
		if flags&packet.SYN != 0 {
			h.MSS, h.WScale = 1460, 7
		}
		frame := coretest.TCP(guest, peer, h, []byte(payload))
		var p packet.Packet
		p.Parse(frame)
		binary.BigEndian.PutUint32(p.L4[4:], seq)
		return frame
	}
	var b []byte
	for _, s := range [][]byte{
		step(0, segment(99, packet.SYN, "")),
		step(0, segment(100, packet.ACK|packet.PSH, "request")),
		step(1, segment(107, packet.ACK, string(make([]byte, 300)))),
		step(0x10, segment(407, packet.FIN|packet.ACK, "")),
		step(0, coretest.UDP(guest, peer, []byte("datagram"))),
		step(2, coretest.UDP(guest, peer, make([]byte, 500))),
		step(0xf0, coretest.Echo(fam.Guest, fam.Gateway, 7, 1, []byte("ping"))),
		step(0, segment(408, packet.RST, "")),
	} {
		b = append(b, s...)
	}
	return b
}

func seeds() [][]byte {
	list := coretest.Families
	arp := make([]byte, packet.EthLen+packet.ARPLen)
	packet.PutEthernet(arp, packet.Broadcast, coretest.GuestMAC, packet.EtherTypeARP)
	packet.PutARP(arp[packet.EthLen:], &packet.ARPHeader{Op: packet.ARPRequest, TargetIP: packet.AddrFrom(list[0].Gateway)})
	closed := coretest.TCP(netip.AddrPortFrom(list[0].Guest, 4000), netip.AddrPortFrom(list[0].Gateway, 81),
		packet.TCPHeader{Flags: packet.SYN, WScale: -1}, nil)
	return [][]byte{
		conversation(list[0]), conversation(list[1]), step(0, arp), step(0x11, closed), step(0, nil),
		inFragments(list[0]), inFragments(list[1]),
	}
}

// TestSeedsReachTheHandlers: the conversations open flows of every protocol.
func TestSeedsReachTheHandlers(t *testing.T) {
	for _, fam := range coretest.Families {
		f := fuzzed(t, coretest.NewMemTap(t, coretest.AllFeatures))
		h := newHost(t)
		f.run(h, conversation(fam))
		if tcp, udp := f.tcp.Stats.OutboundOpened, f.udp.Stats.Flows; tcp != 1 || udp != 1 {
			t.Errorf("%s: %d connections and %d UDP flows opened, want one each", fam.Name, tcp, udp)
		}
		if want := len("request") + 300; h.received != want {
			t.Errorf("%s: host received %d bytes, want %d", fam.Name, h.received, want)
		}
		if n := f.link.Stats.ToGuest; n < 4 {
			t.Errorf("%s: %d frames to the guest, want an answer to most", fam.Name, n)
		}
	}
}

// FuzzFrames: whatever sequence of frames the guest sends, and whenever, all we
// send is valid, nothing panics, and nothing is left open.
func FuzzFrames(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	h := newHost(f)
	// One engine serves all inputs: to make one takes longer than to use it.
	guest := fuzzed(f, coretest.NewMemTap(f, coretest.AllFeatures))
	f.Fuzz(func(t *testing.T, input []byte) {
		if guest.now > 1<<62 {
			t.Skip("the clock is near its end") // after an hour or so
		}
		guest.t = t
		before := openFiles(t)
		guest.run(h, input)
		if after := openFiles(t); after > before { // fewer: an earlier test's goroutine ended
			t.Errorf("%d descriptors open, want at most %d", after, before)
		}
	})
}
