package vpnkit

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

var serverMAC = packet.MAC{0xf6, 0x16, 0x36, 0xbc, 0xf9, 0xc6}

// station is a connection: the port, and the client's end of the stream.
type station struct {
	*port
	t     testing.TB
	far   int
	woken int
}

func newStation(t testing.TB, l *lan, last byte) *station {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &station{t: t, far: fds[1], port: l.join(tap.NewStream(fds[0], tap.PrefixLE16), packet.MAC{2, 5: last}, 1500)}
	s.wake = func() { s.woken++ }
	t.Cleanup(func() { s.Close(); syscall.Close(s.far) })
	return s
}

// frame is one of n bytes with some content.
func frame(dst, src packet.MAC, etherType uint16, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	packet.PutEthernet(b, dst, src, etherType)
	return b
}

// says has the client send a frame, and gives those that are for us.
func (s *station) says(frame []byte) (forUs [][]byte) {
	s.t.Helper()
	if _, err := syscall.Write(s.far, append([]byte{byte(len(frame)), byte(len(frame) >> 8)}, frame...)); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, tap.RecvLen)
	for {
		n, errno := s.Recv(buf)
		if errno == syscall.EAGAIN {
			return forUs
		}
		if errno != 0 {
			s.t.Fatal(errno)
		}
		forUs = append(forUs, bytes.Clone(buf[:n]))
	}
}

// hears gives the frames that the client gets at the end of a turn.
func (s *station) hears() (frames [][]byte) {
	s.t.Helper()
	s.Flush()
	b := make([]byte, 1<<20)
	n, err := syscall.Read(s.far, b)
	if err != nil {
		n = 0
	}
	for b = b[:n]; len(b) > 0; {
		var f []byte
		f, b = nextFrame(b)
		frames = append(frames, f)
	}
	return frames
}

// speak has a client use its connection.
func (s *station) speak() { s.says(frame(serverMAC, s.mac, packet.EtherTypeARP, 60)) }

func TestFramesForUs(t *testing.T) {
	l := newLAN(serverMAC)
	a, b := newStation(t, l, 1), newStation(t, l, 2)
	a.speak()
	b.speak()
	for name, dst := range map[string]packet.MAC{"server": serverMAC, "broadcast": packet.Broadcast, "itself": a.mac} {
		f := frame(dst, a.mac, packet.EtherTypeIP4, 100)
		if got := a.says(f); len(got) != 1 || !bytes.Equal(got[0], f) {
			t.Errorf("to %s: %d frames for us, want the one", name, len(got))
		}
	}
	if got := b.hears(); len(got) != 0 || b.woken != 0 {
		t.Errorf("another guest got %d frames", len(got))
	}
}

func TestFramesForOthers(t *testing.T) {
	group := packet.MAC{0x33, 0x33, 0, 0, 0, 1}
	for _, tt := range []struct {
		name string
		dst  packet.MAC
		want [3]int // frames to each
	}{
		{"one of them", packet.MAC{2, 5: 2}, [3]int{0, 1, 0}},
		{"nobody", packet.MAC{2, 5: 9}, [3]int{}},
		{"group", group, [3]int{0, 1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLAN(serverMAC)
			var all [3]*station
			for i := range all {
				all[i] = newStation(t, l, byte(i+1))
				all[i].speak()
			}
			f := frame(tt.dst, all[0].mac, packet.EtherTypeIP6, 200)
			if got := all[0].says(f); len(got) != 0 {
				t.Errorf("%d frames for us, want none", len(got))
			}
			for i, s := range all {
				got := s.hears()
				if len(got) != tt.want[i] || s.woken != tt.want[i] || len(got) == 1 && !bytes.Equal(got[0], f) {
					t.Errorf("guest %d got %d frames, woken %d times, want %d", i, len(got), s.woken, tt.want[i])
				}
			}
		})
	}
}

// TestFramesBeyondTheMTU between guests: a client was told to expect no such frames, and
// may end over one. The guest that sends them must not have that in its hands.
func TestFramesBeyondTheMTU(t *testing.T) {
	for _, dst := range []packet.MAC{{2, 5: 2}, {0x33, 0x33, 5: 1}} {
		l := newLAN(serverMAC)
		a, b := newStation(t, l, 1), newStation(t, l, 2)
		a.speak()
		b.speak()
		for n, want := range map[int]int{14: 1, 1514: 1, 1515: 0, 65535: 0} {
			if got := a.says(frame(dst, a.mac, packet.EtherTypeIP4, n)); len(got) != 0 {
				t.Errorf("%d bytes to %v: %d frames for us, want none", n, dst, len(got))
			}
			if got := b.hears(); len(got) != want {
				t.Errorf("%d bytes to %v: %d frames, want %d", n, dst, len(got), want)
			}
		}
	}
}

// dhcp is the start of a DISCOVER as the Go client of VPNKit sends it.
func dhcp(src packet.MAC) []byte {
	f := frame(packet.Broadcast, src, packet.EtherTypeIP4, 286)
	clear(f[14:])
	f[14], f[23] = 0x45, packet.ProtoUDP
	copy(f[34:], []byte{0, 68, 0, 67, 1, 8}) // ports, 264 bytes
	f[38], f[39] = 0, 252
	return f
}

func TestIsDHCP(t *testing.T) {
	change := func(at int, v byte) []byte {
		f := dhcp(packet.MAC{2})
		f[at] = v
		return f
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"discover", dhcp(packet.MAC{2}), true},
		{"to a client", change(37, 68), false},
		{"TCP", change(23, packet.ProtoTCP), false},
		{"IPv6", change(12, 0x86), false},
		{"longer header than packet", change(14, 0x4f)[:50], false},
		{"cut", dhcp(packet.MAC{2})[:33], false},
		{"no datagram", dhcp(packet.MAC{2})[:40], false},
		{"header only", dhcp(packet.MAC{2})[:14], false},
	} {
		if got := isDHCP(tt.frame); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestWhoSpeaks: of several connections of a guest, the one used last gets frames, and
// none before it was used.
func TestWhoSpeaks(t *testing.T) {
	l := newLAN(serverMAC)
	parent, child, other := newStation(t, l, 1), newStation(t, l, 1), newStation(t, l, 2)
	other.speak()
	to := frame(parent.mac, other.mac, packet.EtherTypeIP4, 100)
	expect := func(what string, inParent, inChild int) {
		t.Helper()
		other.says(to)
		if p, c := len(parent.hears()), len(child.hears()); p != inParent || c != inChild {
			t.Errorf("%s: %d and %d frames, want %d and %d", what, p, c, inParent, inChild)
		}
	}
	if got := parent.says(dhcp(parent.mac)); len(got) != 1 {
		t.Errorf("%d DHCP messages for us, want 1", len(got))
	}
	child.says(dhcp(parent.mac))
	expect("after DHCP", 0, 0)
	parent.speak()
	expect("parent", 1, 0)
	child.speak()
	expect("child", 0, 1)
	parent.says(dhcp(parent.mac))
	expect("DHCP again", 0, 1)
	l.leave(parent.port)
	expect("parent gone", 0, 1)
	l.leave(child.port)
	expect("both gone", 0, 0)
}

// TestInboxIsBounded: what a guest does not take in time is lost, in whole frames.
func TestInboxIsBounded(t *testing.T) {
	l := newLAN(serverMAC)
	a, b := newStation(t, l, 1), newStation(t, l, 2)
	a.speak()
	b.speak()
	f := frame(b.mac, a.mac, packet.EtherTypeIP4, 1514)
	const n = 2 * inboxLen / 1514
	for range n {
		a.says(f)
	}
	if b.woken != 1 {
		t.Errorf("woken %d times, want once", b.woken)
	}
	got := 0
	for frames := b.hears(); len(frames) > 0; frames = b.hears() {
		for _, g := range frames {
			if !bytes.Equal(g, f) {
				t.Fatal("another frame than sent")
			}
			got++
		}
	}
	if got == 0 || got >= n {
		t.Errorf("%d frames of %d, want some", got, n)
	}
	a.says(f)
	if len(b.hears()) != 1 || b.woken != 2 {
		t.Errorf("afterwards: woken %d times, want twice", b.woken)
	}
}

func TestSendKeepsToTheMTU(t *testing.T) {
	s := newStation(t, newLAN(serverMAC), 1)
	if errno := s.Send(make([]byte, 14), make([]byte, 1501)); errno != syscall.EMSGSIZE {
		t.Errorf("frame beyond the MTU: %v, want EMSGSIZE", errno)
	}
	if errno := s.Send(make([]byte, 14), make([]byte, 1500)); errno != 0 {
		t.Errorf("frame of the MTU: %v", errno)
	}
	if got, want := s.Features(), (tap.Features{Unsummed: true, MTU: 1500}); got != want {
		t.Errorf("features %+v, want %+v", got, want)
	}
}

// TestLANAllocatesNothing: frames between guests make no garbage.
func TestLANAllocatesNothing(t *testing.T) {
	l := newLAN(serverMAC)
	a, b := newStation(t, l, 1), newStation(t, l, 2)
	a.speak()
	b.speak()
	f := frame(b.mac, a.mac, packet.EtherTypeIP4, 100)
	f = append([]byte{100, 0}, f...)
	buf := make([]byte, tap.RecvLen)
	got := testing.AllocsPerRun(100, func() {
		syscall.Write(a.far, f)
		a.Recv(buf)
		a.Recv(buf)
		b.Flush()
		syscall.Read(b.far, buf)
	})
	if got != 0 {
		t.Errorf("%v allocations per frame", got)
	}
}
