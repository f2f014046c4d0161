package coretest

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

// AllFeatures is what a current kernel grants.
var AllFeatures = tap.Features{VnetHdr: true, Checksum: true, TSO4: true, TSO6: true, USO: true}

// GuestMAC and OurMAC are the two stations of the link in tests.
var (
	GuestMAC = packet.MAC{2, 0, 0, 0, 0, 2}
	OurMAC   = packet.MAC{2, 0, 0, 0, 0, 1}
)

// MemTap is a tap.Device in memory. Like the real one it is for one goroutine. Its
// queues keep their memory, so that tests can count allocations around it.
type MemTap struct {
	fd          int
	feat        tap.Features
	toGuest     queue
	fromGuest   queue
	refuse      int
	refuseErrno syscall.Errno
}

var _ tap.Device = (*MemTap)(nil)

// queue is a list of frames in one piece of memory.
type queue struct {
	buf  []byte
	ends []int
	next int // first frame not taken
}

func (q *queue) push(parts ...[]byte) {
	if q.next == len(q.ends) {
		q.reset()
	}
	for _, p := range parts {
		q.buf = append(q.buf, p...)
	}
	q.ends = append(q.ends, len(q.buf))
}

func (q *queue) pop() ([]byte, bool) {
	if q.next == len(q.ends) {
		return nil, false
	}
	start := 0
	if q.next > 0 {
		start = q.ends[q.next-1]
	}
	q.next++
	return q.buf[start:q.ends[q.next-1]], true
}

func (q *queue) reset() { q.buf, q.ends, q.next = q.buf[:0], q.ends[:0], 0 }

// NewMemTap makes a device with the given features; it is closed with the test.
func NewMemTap(t testing.TB, feat tap.Features) *MemTap {
	t.Helper()
	fd, err := sys.Eventfd()
	if err != nil {
		t.Fatalf("create eventfd: %v", err)
	}
	m := &MemTap{fd: fd, feat: feat}
	t.Cleanup(m.Close)
	return m
}

// NewLink makes a link between OurMAC and GuestMAC over a new MemTap.
func NewLink(t testing.TB, feat tap.Features) (*tap.Link, *MemTap) {
	t.Helper()
	m := NewMemTap(t, feat)
	return tap.NewLink(m, OurMAC, GuestMAC), m
}

// Pass has the guest send a frame, and gives the packet that the link makes of it, which
// must be valid.
func Pass(t testing.TB, link *tap.Link, dev *MemTap, frame []byte) *packet.Packet {
	t.Helper()
	dev.Inject(frame)
	p := &packet.Packet{}
	if drop, errno := link.Recv(make([]byte, tap.RecvLen), p); drop != packet.DropNone || errno != 0 {
		t.Fatalf("frame does not pass the link: %v, %v", drop, errno)
	}
	return p
}

// PassUDP is Pass with a datagram from the guest.
func PassUDP(t testing.TB, link *tap.Link, dev *MemTap, src, dst netip.AddrPort, payload []byte) (*packet.Packet, packet.UDP) {
	t.Helper()
	p := Pass(t, link, dev, UDP(src, dst, payload))
	u, ok := packet.ParseUDP(p.L4)
	if !ok {
		t.Fatal("no datagram")
	}
	return p, u
}

// Drops are the reasons that the link has counted, without those of which there are
// none.
func Drops(link *tap.Link) map[packet.Drop]uint64 {
	m := map[packet.Drop]uint64{}
	for d, n := range link.Stats.Drops {
		if n > 0 {
			m[packet.Drop(d)] = n
		}
	}
	return m
}

// FD implements tap.Device: an eventfd that is readable while frames wait.
func (m *MemTap) FD() int { return m.fd }

// Features implements tap.Device.
func (m *MemTap) Features() tap.Features { return m.feat }

// Close implements tap.Device; closing twice does no harm.
func (m *MemTap) Close() {
	if m.fd >= 0 {
		sys.Close(m.fd)
		m.fd = -1
	}
}

// Recv implements tap.Device.
func (m *MemTap) Recv(b []byte) (int, syscall.Errno) {
	frame, ok := m.fromGuest.pop()
	if !ok {
		sys.EventfdDrain(m.fd)
		return 0, syscall.EAGAIN
	}
	return copy(b, frame), 0
}

// Send implements tap.Device.
func (m *MemTap) Send(hdr, payload []byte) syscall.Errno {
	if m.refuse > 0 {
		m.refuse--
		return m.refuseErrno
	}
	m.toGuest.push(hdr, payload)
	return 0
}

// Refuse makes the next n calls of Send fail with errno.
func (m *MemTap) Refuse(n int, errno syscall.Errno) { m.refuse, m.refuseErrno = n, errno }

// Inject queues a frame from the guest as it stands, behind an empty virtio-net header
// if the device has one.
func (m *MemTap) Inject(frame []byte) { m.InjectVnet(Vnet{}, frame) }

// InjectVnet queues a frame from the guest behind the virtio-net header v,
// which is left out if the device has none.
func (m *MemTap) InjectVnet(v Vnet, frame []byte) {
	if m.feat.VnetHdr {
		h := v.bytes()
		m.fromGuest.push(h[:], frame)
	} else {
		m.fromGuest.push(frame)
	}
	sys.EventfdKick(m.fd)
}

// InjectRaw queues bytes that Recv gives out unchanged, virtio-net header included.
func (m *MemTap) InjectRaw(b []byte) {
	m.fromGuest.push(b)
	sys.EventfdKick(m.fd)
}

// Discard forgets all frames sent to the guest so far.
func (m *MemTap) Discard() { m.toGuest.reset() }

// Sent is the number of frames sent to the guest and not taken yet.
func (m *MemTap) Sent() int { return len(m.toGuest.ends) - m.toGuest.next }

// Waiting is the number of frames from the guest that Recv has not given out.
func (m *MemTap) Waiting() int { return len(m.fromGuest.ends) - m.fromGuest.next }

// Take gives and forgets the frames sent to the guest, checked by CheckFrame, and
// fragments put together.
func (m *MemTap) Take(t testing.TB) []*Frame {
	t.Helper()
	var frames []*Frame
	var whole assembly
	for {
		b, ok := m.toGuest.pop()
		if !ok {
			break
		}
		b = append([]byte(nil), b...)
		if !whole.takes(t, m.feat, b) {
			frames = append(frames, CheckFrame(t, m.feat, b))
		} else if !whole.more {
			frames = append(frames, whole.frame(t))
			whole = assembly{}
		}
	}
	if whole.more {
		t.Errorf("%d fragments without the last one", len(whole.parts))
	}
	m.toGuest.reset()
	return frames
}

// One is Take where the guest must have been sent a single frame.
func (m *MemTap) One(t testing.TB) *Frame {
	t.Helper()
	frames := m.Take(t)
	if len(frames) != 1 {
		t.Fatalf("%d frames sent, want 1", len(frames))
	}
	return frames[0]
}
