package tcp

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowHost is an outbound connection whose other end has a small receive buffer
// and does not read.
func slowHost(t *testing.T, s setup) *peer {
	t.Helper()
	e := newEnv(t, s)
	p := e.outboundTo(hostListener(t, "127.0.0.1", 4096))
	_, c := e.live()
	shrinkSendBuffer(t, c)
	return p
}

// shrinkSendBuffer has the host socket of c take little.
func shrinkSendBuffer(t *testing.T, c *conn) {
	t.Helper()
	if err := syscall.SetsockoptInt(c.fd32(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16384); err != nil {
		t.Fatal(err)
	}
}

// fill has the guest send, within the window it is given, until something is held
// and nothing further may be sent. It returns all that was acknowledged.
func (p *peer) fill(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for n := 0; ; n++ {
		_, c := p.live()
		room := int(c.rcvAdv - c.rcvNxt)
		if room == 0 && c.held > 0 {
			return all.String()
		}
		if n > 10000 {
			t.Fatalf("window %d with %d bytes held after %d bytes", room, c.held, all.Len())
		}
		b := pattern(all.Len(), min(room, 1000))
		p.send(seg{flags: ack, seq: 1 + all.Len(), ack: 1, wnd: 65535, data: b})
		all.WriteString(b)
		p.got()
		if _, c := p.live(); int(c.lastAck-p.iss)-1 != all.Len() {
			t.Fatalf("%d bytes acknowledged of %d within the window", int(c.lastAck-p.iss)-1, all.Len())
		}
	}
}

// pattern gives n bytes of an endless stream from offset off on.
func pattern(off, n int) string {
	b := make([]byte, n)
	for i := range b {
		v := uint32(off+i) * 2654435761
		b[i] = byte(v >> 24)
	}
	return string(b)
}

// hostReads reads want on the host while the handler runs.
func (p *peer) hostReads(want string) {
	p.T.Helper()
	for off := 0; off < len(want); {
		_ = p.host.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 32<<10)
		n, err := p.host.Read(b)
		if err != nil || off+n > len(want) || string(b[:n]) != want[off:off+n] {
			p.T.Fatalf("host read %d bytes at %d, error %v; they differ from what was sent", n, off, err)
		}
		off += n
		p.turn(0)
	}
}
