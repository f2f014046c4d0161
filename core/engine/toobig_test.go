package engine

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// tooBigFor is the error of a guest that could not forward a datagram from service to
// one of its ports.
func tooBigFor(fam coretest.Family, service netip.AddrPort, mtu uint32) []byte {
	quoted := coretest.UDP(service, netip.AddrPortFrom(fam.Guest, 4000), make([]byte, 100))[packet.EthLen:]
	if fam.Guest.Is4() {
		return coretest.ICMP(fam.Guest, fam.Gateway, packet.ICMPUnreachable, packet.ICMPCodeFragNeeded, mtu, quoted)
	}
	return coretest.ICMP(fam.Guest, fam.Gateway, packet.ICMPv6TooBig, 0, mtu, quoted)
}

// TestAnswersTooBigForTheGuestsNetwork: whole at first, then in fragments, until the
// guest's way may have changed.
func TestAnswersTooBigForTheGuestsNetwork(t *testing.T) {
	for _, fam := range coretest.Families {
		for _, icmp := range []bool{true, false} { // --no-icmp is about echo
			c, service := udpService(t, fam)
			cfg := testConfig()
			cfg.ICMP = icmp
			f := newFixture(t, cfg, coretest.AllFeatures)
			want := pattern(1, 8000)
			exchange := func() *coretest.Frame {
				f.receive(coretest.UDP(netip.AddrPortFrom(fam.Guest, 4000), service, []byte("request")))
				_, from, err := c.ReadFromUDPAddrPort(make([]byte, 16))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.WriteToUDPAddrPort(want, from); err != nil {
					t.Fatal(err)
				}
				f.until("answer", func() bool { return f.dev.Sent() > 0 })
				frame := f.dev.One(t)
				if !bytes.Equal(frame.UDP(t).Payload(), want) {
					t.Errorf("%s: answer of %d bytes, want %d", fam.Name, len(frame.UDP(t).Payload()), len(want))
				}
				return frame
			}
			if parts := exchange().Parts; parts != nil {
				t.Errorf("%s: fragments of %v at first", fam.Name, parts)
			}
			f.receive(tooBigFor(fam, service, 1500))
			if parts := exchange().Parts; len(parts) != 6 || parts[0] > 1500 || parts[0] <= 1492 {
				t.Errorf("%s: fragments of %v, want 6 of 1500", fam.Name, parts)
			}
			f.expire(f.loop.Now() + int64(time.Hour))
			if parts := exchange().Parts; parts != nil {
				t.Errorf("%s: fragments of %v after an hour", fam.Name, parts)
			}
			if drops := f.drops(); len(drops) != 0 {
				t.Errorf("%s: drops %v", fam.Name, drops)
			}
		}
	}
}

// TestErrorsThatAreNotTooBig change nothing.
func TestErrorsThatAreNotTooBig(t *testing.T) {
	fam := coretest.Families[1]
	service := netip.AddrPortFrom(fam.Gateway, 53)
	segment := coretest.TCP(service, netip.AddrPortFrom(fam.Guest, 4000), packet.TCPHeader{WScale: -1}, nil)[packet.EthLen:]
	for name, frame := range map[string][]byte{
		"too small to be true": tooBigFor(fam, service, 1000),
		"quotes nothing":       coretest.ICMP(fam.Guest, fam.Gateway, packet.ICMPv6TooBig, 0, 1500, nil),
		"quotes nobody's TCP":  coretest.ICMP(fam.Guest, fam.Gateway, packet.ICMPv6TooBig, 0, 1500, segment),
	} {
		f := newFixture(t, testConfig(), tap.Features{})
		f.receive(frame)
		if got := f.drops()[packet.DropUnsupported]; got != 1 {
			t.Errorf("%s: drops %v, want it as unsupported", name, f.drops())
		}
	}
}
