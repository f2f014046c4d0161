package tap_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// sendCuttable sends a datagram that may be cut, or a super-frame of such.
func (e ends) sendCuttable(link *tap.Link, payload []byte, size int) (int, syscall.Errno) {
	n := e.headers(link, packet.ProtoUDP, packet.UDPLen+len(payload))
	packet.PutUDP(link.Headers()[n:], e.our.Port(), e.guest.Port(), len(payload))
	tx := tap.Tx{HdrLen: n + packet.UDPLen, IPLen: n, CsumOff: packet.UDPCsumOff, Fragment: true}
	if size != 0 {
		tx.GSO, tx.GSOSize = packet.GSOUDP, size
	}
	return link.Send(&tx, payload)
}

// learn has the guest say what passes beyond it.
func (e ends) learn(link *tap.Link, mtu uint16, now int64) {
	link.LearnMTU(packet.AddrFrom(e.guest.Addr()), mtu, now)
}

// parts are the lengths of the packets that one of ipLen bytes becomes at MTU mtu.
func parts(ipLen, mtu, hdrLen int) (list []int) {
	data, fragHdrLen := ipLen-hdrLen, 0
	if hdrLen == packet.IPv6Len {
		fragHdrLen = 8
	}
	room := (mtu - hdrLen - fragHdrLen) / 8 * 8
	for ; data > room; data -= room {
		list = append(list, hdrLen+fragHdrLen+room)
	}
	return append(list, hdrLen+fragHdrLen+data)
}

// TestTooLongIsCut: by the MTU of the device, or of what the guest found beyond it.
func TestTooLongIsCut(t *testing.T) {
	forEach(t, func(t *testing.T, feat tap.Features, e ends) {
		for _, tt := range []struct{ device, path, want int }{
			{1500, 0, 1500}, {0, 1400, 1400}, {1500, 1400, 1400}, {1300, 1400, 1300},
		} {
			feat.MTU = tt.device
			link, dev := coretest.NewLink(t, feat)
			if tt.path != 0 {
				e.learn(link, uint16(tt.path), 0)
			}
			for _, n := range []int{8000, 60000, 1473, 2 * 1448, 1} {
				payload := pattern(n)
				if sent, errno := e.sendCuttable(link, payload, 0); sent != n || errno != 0 {
					t.Fatalf("Send = %d, %v, want %d", sent, errno, n)
				}
				f := dev.One(t)
				if got := f.UDP(t); !bytes.Equal(got.Payload(), payload) || got.SrcPort() != e.our.Port() {
					t.Errorf("%d bytes come as %d", n, len(got.Payload()))
				}
				hdrLen := len(f.L3) - len(f.L4)
				want := parts(len(f.L3), tt.want, hdrLen)
				if len(f.L3) <= tt.want {
					want = nil
				}
				if !slices.Equal(f.Parts, want) {
					t.Errorf("%+v: %d bytes come in packets of %v, want %v", tt, n, f.Parts, want)
				}
			}
		}
	})
}

// TestSuperFrameTooLongIsCut: each datagram in it for itself.
func TestSuperFrameTooLongIsCut(t *testing.T) {
	forEach(t, func(t *testing.T, feat tap.Features, e ends) {
		feat.MTU = 1500
		link, dev := coretest.NewLink(t, feat)
		payload := pattern(3*4000 + 100)
		if sent, errno := e.sendCuttable(link, payload, 4000); sent != len(payload) || errno != 0 {
			t.Fatalf("Send = %d, %v, want %d", sent, errno, len(payload))
		}
		frames := dev.Take(t)
		got := coretest.Datagrams(t, frames)
		if len(got) != 4 || !bytes.Equal(bytes.Join(got, nil), payload) {
			t.Errorf("%d datagrams with %d bytes, want 4 with %d", len(got), len(bytes.Join(got, nil)), len(payload))
		}
		for i, f := range frames[:min(3, len(frames))] {
			if len(f.Parts) != 3 {
				t.Errorf("datagram %d comes in packets of %v", i, f.Parts)
			}
		}
		if _, errno := e.sendCuttable(link, payload, 1400); errno != 0 { // fits
			t.Fatal(errno)
		}
		if frames := dev.Take(t); len(frames) == 1 != feat.USO || frames[0].Parts != nil {
			t.Errorf("%d frames, USO %v", len(frames), feat.USO)
		}
	})
}

// identity gives identification and flags of an IPv4 packet.
func identity(f *coretest.Frame) (id uint16, flags uint8) {
	return binary.BigEndian.Uint16(f.L3[4:]), f.L3[6]
}

// TestGuestMayCutLongPackets: in IPv4, where each has an identification of its own then.
func TestGuestMayCutLongPackets(t *testing.T) {
	e := families["IPv4"]
	for _, feat := range combinations() {
		link, dev := coretest.NewLink(t, feat)
		e.sendCuttable(link, pattern(100), 0)
		if id, flags := identity(dev.One(t)); id != 0 || flags != 0x40 {
			t.Errorf("short packet: identification %d, flags %#x", id, flags)
		}
		seen := map[uint16]bool{}
		for range 3 {
			e.sendCuttable(link, pattern(8000), 0)
			e.sendCuttable(link, pattern(5*4000), 4000)
			for _, f := range dev.Take(t) {
				id, flags := identity(f)
				if flags != 0 {
					t.Fatalf("long packet: flags %#x", flags)
				}
				datagrams := 1
				if f.GSO != packet.GSONone {
					datagrams = 5
				}
				for range datagrams { // the device counts up as it cuts
					if seen[id] {
						t.Errorf("identification %d occurs twice", id)
					}
					seen[id] = true
					id++
				}
			}
		}
		if len(seen) != 3*6 {
			t.Errorf("%d identifications, want 18", len(seen))
		}
		if e.sendUDP(link, pattern(8000), 0); dev.One(t).L3[6] != 0x40 {
			t.Error("a packet that must not be cut may be")
		}
	}
}

// TestFragmentsDiffer: those of one packet have an identification that others have not.
func TestFragmentsDiffer(t *testing.T) {
	for name, e := range families {
		seen := map[uint32]int{}
		var sent [][]byte
		spy := &spyDevice{MemTap: coretest.NewMemTap(t, tap.Features{MTU: 1500}), sent: &sent}
		link := tap.NewLink(spy, coretest.OurMAC, coretest.GuestMAC)
		for range 3 {
			e.sendCuttable(link, pattern(4000), 0)
		}
		for _, frame := range sent {
			var p packet.Packet
			var f packet.Fragment
			if p.Parse(frame) != packet.DropFragment || p.Fragment(&f) != packet.DropNone {
				t.Fatalf("%s: no fragment: % x", name, frame)
			}
			seen[f.ID]++
		}
		for id, n := range seen {
			if n != 3 {
				t.Errorf("%s: %d fragments with identification %d, want 3", name, n, id)
			}
		}
		if len(seen) != 3 {
			t.Errorf("%s: %d identifications, want 3", name, len(seen))
		}
	}
}

// spyDevice keeps what is sent.
type spyDevice struct {
	*coretest.MemTap
	sent *[][]byte
}

func (s *spyDevice) Send(hdr, payload []byte) syscall.Errno {
	*s.sent = append(*s.sent, append(bytes.Clone(hdr), payload...))
	return s.MemTap.Send(hdr, payload)
}

// TestRefusedFragment: the caller learns that the packet is lost.
func TestRefusedFragment(t *testing.T) {
	e := families["IPv6"]
	link, dev := coretest.NewLink(t, tap.Features{MTU: 1500})
	dev.Refuse(1, syscall.ENOBUFS)
	if sent, errno := e.sendCuttable(link, pattern(4000), 0); sent != 0 || errno != syscall.ENOBUFS || dev.Sent() != 0 {
		t.Errorf("Send = %d, %v with %d frames, want 0, ENOBUFS and none", sent, errno, dev.Sent())
	}
}

// TestPathsAreForgotten: by age, and if there are too many.
func TestPathsAreForgotten(t *testing.T) {
	e := families["IPv6"]
	link, dev := coretest.NewLink(t, coretest.AllFeatures)
	fragments := func() int {
		e.sendCuttable(link, pattern(4000), 0)
		return len(dev.One(t).Parts)
	}
	const age = int64(10 * time.Minute)
	e.learn(link, 1500, 5)
	e.learn(link, 1280, 6)
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"learnt twice", func() {}, 4},
		{"before its time", func() { link.ForgetMTUs(5 + age) }, 4},
		{"in its time", func() { link.ForgetMTUs(6 + age) }, 0},
		{"others", func() { learnOthers(e, link, 7) }, 0},
		{"learnt again", func() { e.learn(link, 1500, 7) }, 3},
		{"as one of many", func() { learnOthers(e, link, 7) }, 3},
		{"too many", func() { learnOthers(e, link, 16) }, 0},
	} {
		if step.do(); fragments() != step.want {
			t.Errorf("%s: %d fragments, want %d", step.name, fragments(), step.want)
		}
	}
}

// learnOthers notes n paths to addresses behind that of the guest.
func learnOthers(e ends, link *tap.Link, n int) {
	a := e.guest.Addr()
	for range n {
		a = a.Next()
		link.LearnMTU(packet.AddrFrom(a), 1280, 0)
	}
}

func TestSendFragmentsNoAllocation(t *testing.T) {
	for name, e := range families {
		link, dev := coretest.NewLink(t, tap.Features{MTU: 1500})
		payload := pattern(8000)
		send := func() { e.sendCuttable(link, payload, 0); dev.Discard() }
		send()
		if n := testing.AllocsPerRun(50, send); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}
