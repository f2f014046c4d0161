package engine

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// TestGoldenTCP: handshake, and a close that the guest
// begins (RFC 9293 figures 6 and 12).
func TestGoldenTCP(t *testing.T) {
	for _, fam := range coretest.Families {
		t.Run(fam.Name, func(t *testing.T) {
			l, err := net.Listen("tcp", netip.AddrPortFrom(fam.Loopback, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			port := l.Addr().(*net.TCPAddr).AddrPort().Port()
			r := newRecorded(t)
			g := &scriptedGuest{
				fixture: r.fixture, seq: 1000,
				guest: netip.AddrPortFrom(fam.Guest, 4000), peer: netip.AddrPortFrom(fam.Gateway, port),
			}
			g.send(packet.SYN, nil)
			g.wait("SYN,ACK", packet.SYN|packet.ACK, 0)
			iss := g.next - 1
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			g.flags = 0
			g.send(packet.FIN|packet.ACK, nil)
			g.wait("ACK of FIN", packet.ACK, 0)
			if _, err := io.Copy(io.Discard, server); err != nil {
				t.Fatal(err)
			}
			_ = server.Close()
			g.wait("FIN", packet.FIN, 0)
			name := map[bool]string{true: "tcp4", false: "tcp6"}[fam.Guest.Is4()]
			r.compare(t, name, func(p *packet.Packet) { normaliseTCP(p, port, iss) })
		})
	}
}

// normaliseTCP gives the host's end port 80 and initial sequence number 0. Its
// window depends on the kernel's buffers, and its flow label on a secret.
func normaliseTCP(p *packet.Packet, port uint16, iss seqnum.Value) {
	const srcOff, dstOff, seqOff, ackOff, flagsOff, wndOff = 0, 2, 4, 8, 13, 14
	shift := func(at int) {
		v := binary.BigEndian.Uint32(p.L4[at:])
		binary.BigEndian.PutUint32(p.L4[at:], v-uint32(iss))
	}
	if binary.BigEndian.Uint16(p.L4[srcOff:]) == port {
		binary.BigEndian.PutUint16(p.L4[srcOff:], 80)
		shift(seqOff)
		if !p.Src.Is4() {
			binary.BigEndian.PutUint32(p.L3, 6<<28)
		}
		if p.L4[flagsOff]&packet.SYN == 0 {
			binary.BigEndian.PutUint16(p.L4[wndOff:], 0)
		}
		return
	}
	binary.BigEndian.PutUint16(p.L4[dstOff:], 80)
	if p.L4[flagsOff]&packet.ACK != 0 {
		shift(ackOff)
	}
}
