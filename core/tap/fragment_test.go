package tap_test

import (
	"bytes"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// TestFragmentIsNoDrop: not before somebody has given it up.
func TestFragmentIsNoDrop(t *testing.T) {
	e := families["IPv4"]
	first := coretest.Fragments(coretest.UDP(e.guest, e.our, pattern(100)), 1, 64)[0]
	for _, v := range []coretest.Vnet{{}, {Flags: coretest.NeedsCsum, CsumStart: 34, CsumAt: 6}, {GSOType: coretest.GSOUDP, GSOSize: 8}} {
		p, drop, link := received(t, v, first)
		if drop != packet.DropFragment || link.Stats.Drops != [packet.NumDrops]uint64{} || link.Stats.FromGuest != 1 {
			t.Errorf("%+v: got %v, stats %+v", v, drop, link.Stats)
		}
		if p.CsumOK || p.GSO != packet.GSONone {
			t.Errorf("%+v: the fragment says something of the whole: %+v", v, p)
		}
	}
}

func TestReassembled(t *testing.T) {
	for name, e := range families {
		good := coretest.UDP(e.guest, e.our, pattern(100))
		wrong := bytes.Clone(good)
		wrong[len(wrong)-1]++
		partial := bytes.Clone(good)
		partial[len(partial)-100-2], partial[len(partial)-100-1] = 0, 0
		for _, tt := range []struct {
			name     string
			unsummed bool
			frame    []byte
			want     packet.Drop
		}{
			{"whole", false, good, packet.DropNone},
			{"wrong checksum", false, wrong, packet.DropChecksum},
			{"wrong checksum from a guest that may leave it out", true, wrong, packet.DropChecksum},
			{"no checksum from a guest that may leave it out", true, partial, packet.DropNone},
			{"still a fragment", false, coretest.Fragments(good, 1, 64)[0], packet.DropFragment},
			{"no packet", false, good[:packet.EthLen], packet.DropShort},
		} {
			link, _ := coretest.NewLink(t, tap.Features{Unsummed: tt.unsummed})
			var p packet.Packet
			drop := link.Reassembled(tt.frame, &p)
			if drop != tt.want || p.CsumOK != (drop == packet.DropNone) {
				t.Errorf("%s, %s: got %v, checksum good %v; want %v", name, tt.name, drop, p.CsumOK, tt.want)
			}
			var want [packet.NumDrops]uint64
			if tt.want != packet.DropNone {
				want[tt.want] = 1
			}
			if link.Stats.Drops != want || link.Stats.FromGuest != 0 {
				t.Errorf("%s, %s: stats %+v", name, tt.name, link.Stats)
			}
		}
	}
}

// TestReassembledShowsTheGuest: its address is learned from there too.
func TestReassembledShowsTheGuest(t *testing.T) {
	e := families["IPv4"]
	link := tap.NewLink(coretest.NewMemTap(t, tap.Features{}), coretest.OurMAC, packet.MAC{})
	var p packet.Packet
	if d := link.Reassembled(coretest.UDP(e.guest, e.our, nil), &p); d != packet.DropNone || link.GuestMAC() != coretest.GuestMAC {
		t.Errorf("got %v, guest %v, want %v", d, link.GuestMAC(), coretest.GuestMAC)
	}
}
