package tcp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/seqnum"
	"github.com/pasta-net/pasta/core/sys"
)

// hostEvents is what every host socket is watched for, once and for all: with
// edges, a connection that waits for the guest costs nothing.
const hostEvents = loop.In | loop.Pri | loop.Out | loop.Rdh | loop.Edge

// open starts an outbound connection for the guest's SYN: the host side first;
// the guest gets its SYN,ACK when that is connected.
func (h *Handler) open(p *packet.Packet, t packet.TCP, key *flow.Key) {
	host, ok := h.nat.Outbound(packet.ProtoTCP, p.Dst, key.PeerPort)
	if !ok {
		if h.nat.Closed(p.Dst) {
			h.refuse(key, t.Seq(), syscall.ENETUNREACH)
		}
		h.link.Drop(packet.DropAddress)
		return
	}
	if h.table.Len() == h.table.Cap() {
		h.link.Drop(packet.DropTableFull)
		return
	}
	fd, errno := h.hostSocket(host)
	if errno != 0 {
		h.link.Drop(packet.DropNoSocket)
		return
	}
	to := sys.MakeSockAddr(host, key.PeerPort, h.nat.OutboundScope(host))
	if errno := connect(fd, &to); errno != 0 {
		sys.Close(fd)
		h.refuse(key, t.Seq(), errno)
		return
	}
	i := h.insert(key, fd, connecting)
	c := &h.conns[i]
	h.guestSYN(i, c, t)
	h.watch(i, c)
	h.Stats.OutboundOpened++
}

// connect begins to connect fd.
func connect(fd int, to *sys.SockAddr) syscall.Errno {
	errno := sys.Connect(fd, to)
	if errno == syscall.EINPROGRESS {
		errno = 0
	}
	if errno == 0 && sys.SelfConnected(fd, to) {
		return syscall.ECONNREFUSED
	}
	return errno
}

// usable tells whether a connection between these endpoints can exist.
func usable(p *packet.Packet, key *flow.Key) bool {
	return key.GuestPort != 0 && key.PeerPort != 0 && p.Src != p.Dst &&
		fwd.ValidSource(p.Src) && fwd.ValidSource(p.Dst)
}

// hostSocket makes the socket for a connection to host.
func (h *Handler) hostSocket(host packet.Addr) (int, syscall.Errno) {
	fd, errno := h.fdLimit.Check(sys.Socket(sys.Family(host), syscall.SOCK_STREAM, syscall.IPPROTO_TCP))
	if h.madeRoom(errno) {
		fd, errno = h.fdLimit.Check(sys.Socket(sys.Family(host), syscall.SOCK_STREAM, syscall.IPPROTO_TCP))
	}
	if errno != 0 {
		return -1, errno
	}
	setUp(fd)
	h.startPeeking(fd)
	h.binder.Device(fd, host)
	h.binder.Addr(fd, host, h.nat.OutboundScope(host))
	return fd, 0
}

// madeRoom tells whether there is a descriptor to be had again after errno.
func (h *Handler) madeRoom(errno syscall.Errno) bool {
	return (errno == syscall.EMFILE || errno == syscall.ENFILE) && h.giveWay != nil && h.giveWay(h.now)
}

// setUp sets the options of every host socket: on those that connect, and on
// listeners, which pass them on to what they accept. None is vital.
func setUp(fd int) {
	_ = sys.SetInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	// The windows that we advertise count on the whole send buffer, whatever
	// net.ipv4.tcp_notsent_lowat leaves of it. -1 is the kernel's "no limit".
	_ = sys.SetInt(fd, syscall.IPPROTO_TCP, sys.TCPNotsentLowat, -1)
}

// startPeeking prepares the way in which data is read.
func (h *Handler) startPeeking(fd int) {
	// Urgent data stays in the stream (RFC 6093); taken out of it, it would make the
	// peek offset point beside what is discarded.
	_ = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1)
	if h.skipLen == 0 {
		_ = sys.SetPeekOff(fd, 0)
	}
}

// peeks tells whether fd is prepared as by startPeeking.
func (h *Handler) peeks(fd int) bool {
	inline, errno := sys.GetInt(fd, syscall.SOL_SOCKET, syscall.SO_OOBINLINE)
	if errno != 0 || inline != 1 {
		return false
	}
	off, errno := sys.PeekOff(fd)
	return h.skipLen > 0 || errno == 0 && off == 0
}

// insert takes a slot for a new connection; the table has room.
func (h *Handler) insert(key *flow.Key, fd int, s state) uint32 {
	i := h.table.Insert(key)
	c := &h.conns[i]
	*c = conn{
		fd: int32(fd), state: s, mss: h.guestMSS(536, key.Guest.Is4()),
		cwnd: noCwnd, granted: maxWindow, lastFromGuest: h.now, lastActive: h.now,
	}
	iss := seqnum.Value(h.table.Secret().ISN(key, h.now))
	c.sndUna, c.sndNxt, c.sndMax, c.recover = iss, iss, iss, iss
	return i
}

// watch has the loop report what happens on the host socket.
func (h *Handler) watch(i uint32, c *conn) {
	if errno := h.loop.Add(c.fd32(), hostEvents, loop.MakeToken(loop.KindTCP, h.table.Gen(i), i)); errno != 0 {
		h.log.Warn("watch host socket", "err", errno)
		h.abort(i, c)
	}
}

// guestSYN takes over what the guest's SYN says.
func (h *Handler) guestSYN(i uint32, c *conn, t packet.TCP) {
	c.rcvNxt = t.Seq() + 1
	c.lastAck = c.rcvNxt // as if it were acknowledged: an RST may come before our SYN
	o := t.SynOptions()
	c.mss = h.guestMSS(o.MSS, h.table.Key(i).Guest.Is4())
	c.clear(scaled)
	c.sndShift, c.rcvShift = 0, 0
	if o.HasWScale {
		c.set(scaled)
		c.sndShift, c.rcvShift = o.WScale, maxShift
	}
	c.sndWnd = uint32(t.Window()) // never scaled in a SYN (RFC 7323 section 2.2)
	c.maxWnd = c.sndWnd
	c.sndWL1 = t.Seq()
}

// minMSS keeps a guest from asking for absurdly small segments; Linux has the
// same floor (TCP_MIN_MSS).
const minMSS = 88

// guestMSS is the segment size towards the guest: what it asked for, within
// what an IP packet holds.
func (h *Handler) guestMSS(asked uint16, v4 bool) uint16 {
	return max(min(asked, h.ourMSS(v4)), minMSS)
}

// connected goes on when the host socket has connected or failed to.
func (h *Handler) connected(i uint32, c *conn, bits uint32) {
	if bits&(loop.Err|loop.Hup) != 0 {
		h.connectFailed(i, c, sys.SocketError(c.fd32()))
		return
	}
	c.state = synRcvd
	h.beginHandshake(i, c)
}

// beginHandshake sends our SYN for the first time, and minds that it may get lost.
func (h *Handler) beginHandshake(i uint32, c *conn) {
	c.sndMax = c.sndUna + 1
	c.sndNxt = c.sndMax
	c.rtxAt, c.rtxSince = h.now+synTimeout(&h.syn, 0), h.now
	c.set(timing)
	c.rttSeq, c.rttAt = c.sndMax, h.now
	h.sendSyn(i, c)
	h.schedule(i, c)
}

// sendSyn sends our SYN, with ACK if the guest's has come, the first time or again.
func (h *Handler) sendSyn(i uint32, c *conn) {
	fl := uint8(packet.SYN)
	if c.state == synRcvd {
		fl |= packet.ACK
	}
	_, _ = h.send(i, c, fl, c.sndUna, nil)
}

// establish moves to ESTABLISHED when t acknowledges our SYN.
func (h *Handler) establish(i uint32, c *conn, t packet.TCP) {
	h.measureRTT(c, c.sndMax)
	c.state = established
	c.sndUna = c.sndMax
	c.sndWL1, c.sndWL2 = t.Seq(), t.Ack()
	if t.Flags()&packet.SYN == 0 {
		c.sndWnd = uint32(t.Window()) << c.sndShift
	}
	c.maxWnd = max(c.maxWnd, c.sndWnd)
	c.backoff, c.rtxAt = 0, 0
	c.lastAck = c.rcvNxt
	h.touch(i, c)
}
