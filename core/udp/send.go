package udp

import (
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// maxSegments is how many datagrams one message or super-frame may have
	// (UDP_MAX_SEGMENTS; 128 since Linux 6.9).
	maxSegments = 64
	// maxRun is the most payload of one message or super-frame in bytes: what
	// an IPv6 packet of 64 KiB holds, headers counted.
	maxRun = 65535 - packet.IPv6Len - packet.UDPLen
)

// run is one message: consecutive datagrams of a flow, all of segment bytes but the
// last, which may be shorter.
type run struct {
	first   int32 // in Handler.pending
	entries int   // from there on in the chain
	segment int
	bytes   int
}

// datagrams is how many datagrams r is on the wire.
func (r *run) datagrams() int { return max(1, segments(r.bytes, r.segment)) }

func segments(bytes, segment int) int {
	if segment == 0 {
		return 1
	}
	return (bytes + segment - 1) / segment
}

// joins tells whether n more bytes, in datagrams of segment bytes, may follow
// bytes in datagrams of size in one message or super-frame.
func joins(bytes, size, n, segment int) bool {
	switch {
	case size == 0 || n == 0 || bytes%size != 0:
		return false // empty datagrams stand alone, and a short one is the last
	case segment != size && (n != segment || segment > size):
		return false
	}
	return bytes+n <= maxRun && segments(bytes+n, size) <= maxSegments
}

// cuts tells whether the kernel may be asked to cut datagrams of segment bytes.
func (f *state) cuts(segment int) bool { return f.segLimit == 0 || segment < f.segLimit }

// send transmits what is pending for flow i.
func (h *Handler) send(i uint32) {
	f := &h.flows[i]
	at := f.pendHead
	if at == noIndex {
		return // sent before a change of TTL, or closed
	}
	f.pendHead, f.pendTail = noIndex, noIndex
	for at != noIndex {
		d := &h.pending[at]
		if d.segment < len(d.payload) && !f.cuts(d.segment) {
			h.transmit(i)
			h.sendSingly(i, d.payload, d.segment)
		} else {
			h.addToRun(f, at)
		}
		at = d.next
	}
	h.transmit(i)
}

// addToRun appends a pending datagram to the last message, or begins another.
func (h *Handler) addToRun(f *state, at int32) {
	d := &h.pending[at]
	if n := len(h.runs); n > 0 {
		r := &h.runs[n-1]
		if f.cuts(r.segment) && joins(r.bytes, r.segment, len(d.payload), d.segment) {
			h.out.Add(d.payload)
			r.bytes += len(d.payload)
			r.entries++
			return
		}
		h.endRun()
	}
	h.begin(h.out, f)
	h.out.Add(d.payload)
	h.runs = append(h.runs, run{first: at, entries: 1, segment: d.segment, bytes: len(d.payload)})
}

// endRun completes the last message.
func (h *Handler) endRun() {
	if r := &h.runs[len(h.runs)-1]; r.bytes > r.segment {
		h.out.SetSegment(r.segment)
	}
}

// begin starts a message of flow f in b.
func (h *Handler) begin(b *sys.SendBatch, f *state) {
	switch {
	case f.listener != noIndex:
		l := h.listeners.Value(uint32(f.listener))
		to := l.sockAddr(f)
		b.Begin(&to)
		if !f.local.IsZero() && !group(f.local) {
			b.SetSource(l.family, f.local, f.ifIndex)
		}
	case f.open:
		to := sys.MakeSockAddr(f.host, f.hostPort, f.scope)
		b.Begin(&to)
	default:
		b.Begin(nil)
	}
}

// socket is the descriptor that flow f sends through.
func (h *Handler) socket(f *state) int {
	if f.listener != noIndex {
		return h.listeners.Value(uint32(f.listener)).fd
	}
	return f.fd
}

// transmit sends the messages in h.out. An error may be that of an earlier datagram,
// which an ICMP message left with the socket; so each message has a second try.
func (h *Handler) transmit(i uint32) {
	if len(h.runs) == 0 {
		return
	}
	h.endRun()
	fd := h.socket(&h.flows[i])
	retried := false
	for next := 0; next < len(h.runs); {
		n, errno := h.out.Send(fd, next)
		h.Stats.Sends++
		for _, r := range h.runs[next : next+n] {
			h.Stats.ToHost += uint64(r.datagrams())
		}
		next += n
		switch {
		case errno == 0:
			retried = false
		case errno == syscall.EAGAIN:
			h.dropRuns(next)
			next = len(h.runs)
		case !retried:
			retried = true
		default:
			h.sendFailed(i, &h.runs[next], errno)
			next, retried = next+1, false
		}
	}
	h.out.Reset()
	h.runs = h.runs[:0]
}

// dropRuns counts the messages from index next on as lost: the socket's buffer is
// full, as on a host whose link is slower than the application.
func (h *Handler) dropRuns(next int) {
	for _, r := range h.runs[next:] {
		h.drop(packet.DropQueueFull, r.datagrams())
	}
}

func (h *Handler) drop(reason packet.Drop, n int) {
	for range n {
		h.link.Drop(reason)
	}
}

// sendFailed handles a message that the kernel refused. If it was to be cut, the
// route may not allow that: datagrams larger than its MTU (EINVAL, EMSGSIZE), or
// a device without checksum offload (EIO). Then they go one by one from now on.
func (h *Handler) sendFailed(i uint32, r *run, errno syscall.Errno) {
	f := &h.flows[i]
	at := r.first
	if r.datagrams() == 1 {
		h.drop(packet.DropNoSocket, 1)
		h.unreachable(h.table.Key(i), h.flows[i].host, h.pending[at].payload, errno)
		return
	}
	switch errno {
	case syscall.EINVAL, syscall.EMSGSIZE:
		f.segLimit = r.segment
	case syscall.EIO, syscall.EOPNOTSUPP, syscall.ENOPROTOOPT:
		f.segLimit = 1
	}
	for range r.entries {
		d := &h.pending[at]
		h.sendSingly(i, d.payload, r.segment)
		at = d.next
	}
}

// sendSingly sends payload as datagrams of segment bytes without UDP_SEGMENT.
func (h *Handler) sendSingly(i uint32, payload []byte, segment int) {
	f := &h.flows[i]
	for len(payload) > 0 {
		h.single.Reset()
		for len(payload) > 0 && !h.single.Full() {
			n := min(segment, len(payload))
			h.begin(h.single, f)
			h.single.Add(payload[:n])
			payload = payload[n:]
		}
		h.transmitSingly(h.socket(f))
	}
}

func (h *Handler) transmitSingly(fd int) {
	retried := false
	for next := 0; next < h.single.Len(); {
		n, errno := h.single.Send(fd, next)
		h.Stats.Sends++
		h.Stats.ToHost += uint64(n)
		next += n
		switch {
		case errno == 0:
			retried = false
		case errno == syscall.EAGAIN:
			h.drop(packet.DropQueueFull, h.single.Len()-next)
			return
		case !retried:
			retried = true
		default:
			h.drop(packet.DropNoSocket, 1)
			next, retried = next+1, false
		}
	}
}
