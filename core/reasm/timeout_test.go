package reasm

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
)

// TestTimeout: the guest is told which packet it was, once.
func TestTimeout(t *testing.T) {
	eachFamily(t, func(t *testing.T, fam coretest.Family) {
		f := newFixture(t, nil)
		if f.NextDeadline() != loop.NoDeadline {
			t.Fatalf("deadline %d before any fragment", f.NextDeadline())
		}
		f.now = 5
		frames := coretest.Fragments(datagram(fam, 2000), 1, 640)
		f.sendAll(frames[1], frames[0])
		if got, want := f.NextDeadline(), 5+timeout; got != want {
			t.Errorf("deadline %d, want %d", got, want)
		}
		f.Expire(5 + timeout - 1)
		if f.dev.Sent() != 0 || f.used() != 1 {
			t.Fatalf("before the deadline: %d answers, %d slots in use", f.dev.Sent(), f.used())
		}
		f.Expire(5 + timeout)
		f.Expire(5 + 2*timeout)
		if f.used() != 0 || f.Stats.Timeouts != 1 || f.drops()[packet.DropFragment] != 1 || f.NextDeadline() != loop.NoDeadline {
			t.Errorf("%d slots in use, stats %+v, drops %v, next deadline %d", f.used(), f.Stats, f.drops(), f.NextDeadline())
		}
		checkTimeExceeded(t, f.dev.One(t), fam, transportOf(datagram(fam, 2000)))
	})
}

// checkTimeExceeded checks the error about a packet from the guest to the gateway with
// the transport part l4, of which 640 bytes came at first.
func checkTimeExceeded(t *testing.T, answer *coretest.Frame, fam coretest.Family, l4 []byte) {
	t.Helper()
	want, limit := [2]uint8{packet.ICMPv6TimeExceeded, 1}, 640
	if fam.Guest.Is4() {
		want[0], limit = packet.ICMPTimeExceeded, 576-packet.IPv4Len-packet.ICMPLen-packet.IPv4Len
	}
	m := answer.ICMP(t)
	if got := [2]uint8{m.Type(), m.Code()}; got != want {
		t.Errorf("type and code: got %v, want %v", got, want)
	}
	if answer.Src.Netip() != fam.Gateway || answer.Dst.Netip() != fam.Guest {
		t.Errorf("from %v to %v, want from %v to %v", answer.Src.Netip(), answer.Dst.Netip(), fam.Gateway, fam.Guest)
	}
	var q packet.Quoted
	if !packet.ParseQuoted(m, &q) || q.Src.Netip() != fam.Guest || q.Dst.Netip() != fam.Gateway || q.SrcPort != 4000 || q.DstPort != 53 {
		t.Errorf("quotes %+v", q)
	}
	if !bytes.HasSuffix(answer.L4, l4[:limit]) {
		t.Errorf("does not quote %d bytes of the first fragment: % x", limit, answer.L4)
	}
}

// TestTimeoutsWithoutAnswer: none without the first fragment, and none where RFC 1122
// section 3.2.2 and RFC 4443 section 2.4 forbid it.
func TestTimeoutsWithoutAnswer(t *testing.T) {
	v4, v6 := coretest.Families[0], coretest.Families[1]
	toGroup := func(fam coretest.Family, group string) []byte {
		fam.Gateway = netip.MustParseAddr(group)
		return coretest.Fragments(datagram(fam, 1000), 1, 512)[0]
	}
	icmp := func(fam coretest.Family, typ uint8) []byte {
		return coretest.Fragments(coretest.ICMP(fam.Guest, fam.Gateway, typ, 0, 0, text(1000)), 1, 512)[0]
	}
	broadcast := coretest.Fragments(datagram(v4, 1000), 1, 512)[0]
	copy(broadcast, packet.Broadcast[:])
	for _, tt := range []struct {
		name  string
		frame []byte
		want  int
	}{
		{"echo request", icmp(v4, packet.ICMPEchoRequest), 1},
		{"echo request, IPv6", icmp(v6, packet.ICMPv6EchoRequest), 1},
		{"no first fragment", coretest.Fragments(datagram(v4, 1000), 1, 512)[1], 0},
		{"multicast", toGroup(v4, "224.0.0.251"), 0},
		{"multicast, IPv6", toGroup(v6, "ff02::fb"), 0},
		{"broadcast", toGroup(v4, "255.255.255.255"), 0},
		{"broadcast on the link", broadcast, 0},
		{"error", icmp(v4, packet.ICMPUnreachable), 0},
		{"error, IPv6", icmp(v6, packet.ICMPv6Unreachable), 0},
	} {
		f := newFixture(t, nil)
		f.send(tt.frame)
		f.Expire(timeout)
		if got := f.dev.Sent(); got != tt.want || f.Stats.Timeouts != 1 {
			t.Errorf("%s: %d answers, want %d; stats %+v", tt.name, got, tt.want, f.Stats)
		}
	}
}
