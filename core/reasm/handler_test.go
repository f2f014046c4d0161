package reasm

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// TestFragmentsMakeThePacket: in any order, of every protocol and size.
func TestFragmentsMakeThePacket(t *testing.T) {
	eachFamily(t, func(t *testing.T, fam coretest.Family) {
		guest, peer := netip.AddrPortFrom(fam.Guest, 4000), netip.AddrPortFrom(fam.Gateway, 80)
		longest := 65535 - packet.UDPLen
		if fam.Guest.Is4() {
			longest -= packet.IPv4Len
		}
		for _, tt := range []struct {
			name  string
			frame []byte
			size  int // of fragments
		}{
			{"UDP", datagram(fam, 8000), 1480},
			{"longest UDP", datagram(fam, longest), 1480},
			{"tiny fragments", datagram(fam, 3001), 8},
			{"TCP", coretest.TCP(guest, peer, packet.TCPHeader{Flags: packet.ACK, WScale: -1}, text(3000)), 1480},
			{"echo", coretest.Echo(fam.Guest, fam.Gateway, 7, 8, text(3000)), 1480},
		} {
			for _, order := range []func([][]byte){func([][]byte) {}, slices.Reverse[[][]byte], interleave} {
				f := newFixture(t, nil)
				frames := coretest.Fragments(tt.frame, 42, tt.size)
				order(frames)
				last := len(frames) - 1
				if f.sendAll(frames[:last]...) != 0 || !f.send(frames[last]) {
					t.Fatalf("%s: %d fragments do not make one packet; drops %v", tt.name, len(frames), f.drops())
				}
				var want packet.Packet
				want.Parse(tt.frame)
				got := &f.p
				if !bytes.Equal(got.L4, want.L4) || got.Proto != want.Proto || got.TTL != want.TTL || !got.CsumOK ||
					got.Src != want.Src || got.Dst != want.Dst || got.EthSrc != coretest.GuestMAC {
					t.Errorf("%s: got %d bytes of transport part, %+v", tt.name, len(got.L4), *got)
				}
				if f.used() != 0 || f.Stats.Packets != 1 || f.Stats.Fragments != uint64(len(frames)) || len(f.drops()) != 0 {
					t.Errorf("%s: %d slots in use, stats %+v, drops %v", tt.name, f.used(), f.Stats, f.drops())
				}
			}
		}
	})
}

// interleave puts every other fragment first.
func interleave(frames [][]byte) {
	var even, odd [][]byte
	for i, frame := range frames {
		if i%2 == 0 {
			even = append(even, frame)
		} else {
			odd = append(odd, frame)
		}
	}
	copy(frames, append(odd, even...))
}

// TestPacketsAtATime: fragments of several packets come mixed, and differ in one part
// of the key each.
func TestPacketsAtATime(t *testing.T) {
	f := newFixture(t, nil)
	var lists [][][]byte
	for _, fam := range coretest.Families {
		lists = append(lists, coretest.Fragments(datagram(fam, 900), 1, 200), coretest.Fragments(datagram(fam, 901), 2, 200))
		other := fam
		other.Guest = fam.Guest.Next()
		lists = append(lists, coretest.Fragments(datagram(other, 902), 1, 200))
		other = fam
		other.Gateway = fam.Gateway.Prev()
		lists = append(lists, coretest.Fragments(datagram(other, 903), 1, 200))
	}
	lists = append(lists, coretest.Fragments(coretest.Echo(coretest.Guest4, coretest.Gateway4, 1, 1, text(900)), 1, 200))
	var mixed [][]byte
	for i := range lists[0] {
		for _, list := range lists {
			mixed = append(mixed, list[i])
		}
	}
	if got := f.sendAll(mixed...); got != len(lists) || f.buffers() != len(lists) {
		t.Errorf("%d packets with %d buffers, want %d; drops %v", got, f.buffers(), len(lists), f.drops())
	}
}

// TestProtocolOfFirstFragmentCounts: in IPv6 that of others says nothing (RFC 8200
// section 4.5).
func TestProtocolOfFirstFragmentCounts(t *testing.T) {
	f, fam := newFixture(t, nil), coretest.Families[1]
	l4 := transportOf(datagram(fam, 24))
	wrong := packet.Fragment{ID: 1, Proto: packet.ProtoTCP, Offset: 16, Data: l4[16:]}
	first := packet.Fragment{ID: 1, Proto: packet.ProtoUDP, Data: l4[:16], More: true}
	got := f.sendAll(coretest.Fragment(fam.Guest, fam.Gateway, &wrong), coretest.Fragment(fam.Guest, fam.Gateway, &first))
	if got != 1 || f.p.Proto != packet.ProtoUDP {
		t.Errorf("%d packets, protocol %d; drops %v", got, f.p.Proto, f.drops())
	}
}

// TestAtomicFragment: it stands alone, whatever others have the same identification.
func TestAtomicFragment(t *testing.T) {
	f, fam := newFixture(t, nil), coretest.Families[1]
	parts := coretest.Fragments(datagram(fam, 100), 1, 64)
	f.send(parts[0])
	frame := datagram(fam, 50)
	atomic := packet.Fragment{ID: 1, Proto: packet.ProtoUDP, Data: transportOf(frame)}
	if !f.send(coretest.Fragment(fam.Guest, fam.Gateway, &atomic)) || !bytes.Equal(f.p.L4, transportOf(frame)) {
		t.Errorf("got % x, want % x; drops %v", f.p.L4, transportOf(frame), f.drops())
	}
	if !f.send(parts[1]) || !bytes.Equal(f.p.L4, transportOf(datagram(fam, 100))) {
		t.Errorf("the packet before is lost: drops %v", f.drops())
	}
}

// TestOverlapGivesUpThePacket: and what is still to come of it does not begin another.
func TestOverlapGivesUpThePacket(t *testing.T) {
	eachFamily(t, func(t *testing.T, fam coretest.Family) {
		f := newFixture(t, nil)
		frames := coretest.Fragments(datagram(fam, 100), 1, 32)
		overlap := packet.Fragment{ID: 1, Proto: packet.ProtoUDP, Offset: 24, Data: text(16), More: true}
		all := append([][]byte{frames[0], coretest.Fragment(fam.Guest, fam.Gateway, &overlap)}, frames...)
		if got := f.sendAll(all...); got != 0 {
			t.Errorf("%d packets, want none", got)
		}
		if f.Stats.Conflicts != 1 || f.drops()[packet.DropFragment] != uint64(len(all)-1) || f.used() != 1 {
			t.Errorf("stats %+v, drops %v, %d slots in use", f.Stats, f.drops(), f.used())
		}
		f.now += timeout
		f.Expire(f.now)
		if f.used() != 0 || f.dev.Sent() != 0 || f.Stats.Timeouts != 0 {
			t.Errorf("afterwards: %d slots in use, %d answers, stats %+v", f.used(), f.dev.Sent(), f.Stats)
		}
	})
}

// TestFragmentsOfNoPacket: each is dropped alone, for the reason given.
func TestFragmentsOfNoPacket(t *testing.T) {
	v4, v6 := coretest.Families[0], coretest.Families[1]
	with := func(fam coretest.Family, offset, n int, more bool) []byte {
		f := part(offset, n, more)
		f.ID, f.Proto = 1, packet.ProtoUDP
		return coretest.Fragment(fam.Guest, fam.Gateway, &f)
	}
	first := func(proto uint8, data ...byte) []byte {
		return coretest.Fragment(v6.Guest, v6.Gateway, &packet.Fragment{ID: 1, Proto: proto, Data: data, More: true})
	}
	from := func(src string) []byte {
		f := part(0, 8, true)
		a := netip.MustParseAddr(src)
		dst := v4.Gateway
		if a.Is6() {
			dst = v6.Gateway
		}
		f.Proto = packet.ProtoUDP
		return coretest.Fragment(a, dst, &f)
	}
	noIPv6 := func(c *config.Config) { c.V6.Enabled = false }
	tests := []struct {
		name   string
		change func(*config.Config)
		frame  []byte
		want   packet.Drop
	}{
		{"IPv4, no data", nil, with(v4, 8, 0, true), packet.DropFragment},
		{"IPv4, last one without data", nil, with(v4, 8, 0, false), packet.DropFragment},
		{"IPv4, odd length", nil, with(v4, 0, 12, true), packet.DropFragment},
		{"IPv4, ping of death", nil, with(v4, 65512, 8, false), packet.DropFragment},
		{"IPv6, no data", nil, with(v6, 0, 0, true), packet.DropFragment},
		{"IPv6, odd length", nil, with(v6, 8, 9, true), packet.DropFragment},
		{"IPv6, ping of death", nil, with(v6, 65528, 8, false), packet.DropFragment},
		{"IPv6, part of a fragment header", nil, coretest.IP(v6.Guest, v6.Gateway, 44, make([]byte, 7)), packet.DropShort},
		{"IPv6, part of a TCP header", nil, first(packet.ProtoTCP, make([]byte, 16)...), packet.DropFragment},
		{"IPv6, options without header", nil, first(60, packet.ProtoUDP, 0, 0, 0, 0, 0, 0, 0), packet.DropFragment},
		{"IPv6, part of options", nil, first(60, packet.ProtoUDP, 1, 0, 0, 0, 0, 0, 0), packet.DropFragment},
		{"IPv6 off", noIPv6, with(v6, 0, 16, true), packet.DropDisabled},
		{"from 127.0.0.1", nil, from("127.0.0.1"), packet.DropAddress},
		{"from ff02::1", nil, from("ff02::1"), packet.DropAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.change)
			whole := f.send(tt.frame)
			if got, want := f.drops(), map[packet.Drop]uint64{tt.want: 1}; whole || !maps.Equal(got, want) {
				t.Errorf("drops %v, want %v", got, want)
			}
			if f.used() != 0 || f.buffers() != 0 || f.dev.Sent() != 0 {
				t.Errorf("%d slots in use, %d buffers, %d answers, want none", f.used(), f.buffers(), f.dev.Sent())
			}
		})
	}
}

// TestWholesThatAreNotValid: what fragments make is checked as any packet is.
func TestWholesThatAreNotValid(t *testing.T) {
	fam := coretest.Families[1]
	damaged := datagram(fam, 100)
	damaged[len(damaged)-1]++
	nested := packet.Fragment{ID: 2, Proto: packet.ProtoUDP, Data: text(8)}
	inner := transportOf(coretest.Fragment(fam.Guest, fam.Gateway, &nested))
	outer := packet.Fragment{ID: 1, Proto: 44, Data: inner}
	solicit := coretest.ICMP(fam.Guest, fam.Gateway, packet.ICMPv6NeighborSolicit, 0, 0, text(80))
	for _, tt := range []struct {
		name   string
		frames [][]byte
		want   packet.Drop
	}{
		{"wrong checksum", coretest.Fragments(damaged, 1, 64), packet.DropChecksum},
		{"fragment in fragment", [][]byte{coretest.Fragment(fam.Guest, fam.Gateway, &outer)}, packet.DropFragment},
		{"neighbor discovery", coretest.Fragments(solicit, 1, 64), packet.DropFragment},
	} {
		f := newFixture(t, nil)
		got := f.sendAll(tt.frames...)
		if want := map[packet.Drop]uint64{tt.want: 1}; got != 0 || f.Stats.Packets != 0 || !maps.Equal(f.drops(), want) {
			t.Errorf("%s: %d packets, drops %v, want %v", tt.name, got, f.drops(), want)
		}
	}
}

// TestShortFirstFragmentOverIPv4: the header of TCP may be in two fragments.
func TestShortFirstFragmentOverIPv4(t *testing.T) {
	fam := coretest.Families[0]
	guest, peer := netip.AddrPortFrom(fam.Guest, 4000), netip.AddrPortFrom(fam.Gateway, 80)
	f := newFixture(t, nil)
	frame := coretest.TCP(guest, peer, packet.TCPHeader{Flags: packet.SYN, WScale: -1}, nil)
	if got := f.sendAll(coretest.Fragments(frame, 1, 8)...); got != 1 || !bytes.Equal(f.p.L4, transportOf(frame)) {
		t.Errorf("%d packets, transport part % x; drops %v", got, f.p.L4, f.drops())
	}
}
