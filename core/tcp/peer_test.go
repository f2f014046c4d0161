package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
)

// seg is a segment in a test; sequence numbers count from the initial ones, so that
// the SYN has number 0.
type seg struct {
	flags    uint8
	seq, ack int
	wnd      uint16
	data     string
}

// String keeps failures readable.
func (s seg) String() string {
	d := fmt.Sprintf("%q", s.data)
	if len(s.data) > 40 {
		d = fmt.Sprintf("%q... (%d bytes)", s.data[:20], len(s.data))
	}
	return fmt.Sprintf("{flags %#x seq %d ack %d wnd %d %s}", s.flags, s.seq, s.ack, s.wnd, d)
}

// peer is the guest's end of one connection, acted by the test.
type peer struct {
	*env
	guest, remote netip.AddrPort
	iss, irs      seqnum.Value
	mss           uint16
	shift         int8 // window scale offered in SYN; -1: none
	host          *net.TCPConn
	last          *coretest.Frame
	read          int // bytes of pattern that the host has read
}

// newPeer is an end that has not sent anything yet; remote's port is the one
// on the host.
func (e *env) newPeer(remotePort uint16) *peer {
	return &peer{
		env: e, guest: netip.AddrPortFrom(guest4, guestPort), remote: netip.AddrPortFrom(gateway4, remotePort),
		iss: guestISS, mss: 1460, shift: 0,
	}
}

// key is the connection's key in the flow table.
func (p *peer) key() *flow.Key {
	return &flow.Key{
		Guest: packet.AddrFrom(p.guest.Addr()), Peer: packet.AddrFrom(p.remote.Addr()),
		GuestPort: p.guest.Port(), PeerPort: p.remote.Port(),
	}
}

// connOf is the handler's end of p.
func (e *env) connOf(p *peer) *conn { return &e.h.conns[e.h.table.Lookup(p.key())] }

// inject queues a segment of the guest without handling it yet.
func (p *peer) inject(s seg) {
	p.T.Helper()
	h := packet.TCPHeader{Flags: s.flags, Seq: p.iss + seqnum.Value(s.seq), Window: s.wnd, WScale: -1}
	if s.flags&packet.ACK != 0 {
		h.Ack = p.irs + seqnum.Value(s.ack)
	}
	if s.flags&packet.SYN != 0 {
		h.MSS, h.WScale = p.mss, p.shift
	}
	p.Dev.Inject(coretest.TCP(p.guest, p.remote, h, []byte(s.data)))
}

// send has the guest send segments in one batch, and handles them.
func (p *peer) send(list ...seg) {
	p.T.Helper()
	for _, s := range list {
		p.inject(s)
	}
	p.turn(0)
}

// got takes the segments sent to the guest so far. IRS is learnt from a SYN.
func (p *peer) got() []seg {
	p.T.Helper()
	var list []seg
	for _, f := range p.Dev.Take(p.T) {
		s := f.TCP(p.T)
		if s.DstPort() != p.guest.Port() || s.SrcPort() != p.remote.Port() {
			p.T.Fatalf("segment %d -> %d, want %d -> %d", s.SrcPort(), s.DstPort(), p.remote.Port(), p.guest.Port())
		}
		if s.Flags()&packet.SYN != 0 {
			p.irs = s.Seq()
		}
		one := seg{flags: s.Flags(), seq: int(s.Seq() - p.irs), wnd: s.Window(), data: string(s.Payload())}
		if s.Flags()&packet.ACK != 0 {
			one.ack = int(s.Ack() - p.iss)
		}
		p.last = f
		list = append(list, one)
	}
	return list
}

// anyWnd in an expected segment stands for any window.
const anyWnd = 0xffff

func (s seg) matches(want seg) bool {
	if want.wnd == anyWnd {
		s.wnd = anyWnd
	}
	return s == want
}

// expect checks what was sent to the guest, all of it.
func (p *peer) expect(want ...seg) {
	p.T.Helper()
	p.compare(p.got(), want)
}

func (p *peer) compare(got, want []seg) {
	p.T.Helper()
	if len(got) != len(want) {
		p.T.Fatalf("guest got %v, want %v", got, want)
	}
	for i := range got {
		if !got[i].matches(want[i]) {
			p.T.Fatalf("segment %d to guest is %v, want %v", i, got[i], want[i])
		}
	}
}

// await waits until the guest was sent as many segments as are wanted, and
// checks them.
func (p *peer) await(want ...seg) {
	p.T.Helper()
	var got []seg
	p.until("segments to the guest", func() bool {
		got = append(got, p.got()...)
		return len(got) >= len(want)
	})
	p.compare(got, want)
}

// Shorthands for expected and sent segments.
const (
	fin, syn, rst, psh, ack = packet.FIN, packet.SYN, packet.RST, packet.PSH, packet.ACK
)

func pureAck(seq, ackNo int) seg { return seg{flags: ack, seq: seq, ack: ackNo, wnd: anyWnd} }

func data(seq, ackNo int, b string) seg {
	return seg{flags: ack | psh, seq: seq, ack: ackNo, wnd: anyWnd, data: b}
}

// outbound opens a connection from the guest to a listener on the host. The guest
// offers its window unscaled.
func (e *env) outbound() *peer { return e.outboundTo(hostListener(e.T, "127.0.0.1", 0)) }

func (e *env) outboundTo(l *net.TCPListener) *peer {
	e.T.Helper()
	p := e.newPeer(portOf(l.Addr()))
	p.connect(l)
	return p
}

// connect does the handshake of an outbound connection.
func (p *peer) connect(l *net.TCPListener) {
	p.T.Helper()
	p.send(seg{flags: syn, wnd: 65535})
	p.host = accept(p.T, l)
	p.await(seg{flags: syn | ack, ack: 1, wnd: 65535})
	p.send(seg{flags: ack, seq: 1, ack: 1, wnd: 65535})
	p.expect()
}

// dial connects to a listener of the handler.
func dial(t testing.TB, a *net.TCPAddr) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, a)
	if err != nil {
		t.Fatalf("connect to listener: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// called has a client on the host connect, and returns the guest's end after it
// was sent the SYN.
func (e *env) called() *peer {
	e.T.Helper()
	c := dial(e.T, e.listen(guestPort))
	p := e.newPeer(portOf(c.LocalAddr()))
	p.host = c
	p.await(seg{flags: syn, wnd: 65535})
	return p
}

// inbound opens a connection from a client on the host to the guest.
func (e *env) inbound() *peer {
	e.T.Helper()
	p := e.called()
	p.send(seg{flags: syn | ack, ack: 1, wnd: 65535})
	p.expect(pureAck(1, 1))
	return p
}

// hostGets reads n bytes on the host.
func (p *peer) hostGets(want string) {
	p.T.Helper()
	b := make([]byte, len(want))
	_ = p.host.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(p.host, b); err != nil || string(b) != want {
		p.T.Fatalf("host read %q, %v, want %q", b[:n], err, want)
	}
}

// hostGetsEnd checks how the stream ends on the host: io.EOF or an errno.
func (p *peer) hostGetsEnd(want error) {
	p.T.Helper()
	_ = p.host.SetReadDeadline(time.Now().Add(patience))
	n, err := p.host.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, want) {
		p.T.Fatalf("host read %d bytes and %v, want %v", n, err, want)
	}
}

// hostSends writes b on the host.
func (p *peer) hostSends(b string) {
	p.T.Helper()
	_ = p.host.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.host.Write([]byte(b)); err != nil {
		p.T.Fatalf("host write: %v", err)
	}
}

// hostResets closes the host's end with RST.
func (p *peer) hostResets() {
	p.T.Helper()
	if err := p.host.SetLinger(0); err != nil {
		p.T.Fatal(err)
	}
	_ = p.host.Close()
}
