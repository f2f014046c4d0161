package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// maxSegments is how many datagrams one message may have (UDP_MAX_SEGMENTS;
	// 128 since Linux 6.9).
	maxSegments = 64
	// maxMessage is the most payload of one message in bytes.
	maxMessage = 65535 - packet.IPv6Len - packet.UDPLen
)

// run collects datagrams for one receiver: consecutive ones of equal size, of which
// the last may be shorter, become one message that the kernel cuts (UDP_SEGMENT).
type run struct {
	slot    uint32 // flow of the datagrams, flow.None for answers
	batch   *sys.SendBatch
	segment int // of the last message
	bytes   int // of the last message
	closed  bool
	lens    [udpSlots]int // datagrams in each message
	name    sys.SockAddr  // of the client, for answers
}

func newRun() run {
	return run{slot: flow.None, batch: sys.NewSendBatch(udpSlots, 2*udpSlots)}
}

// answersTo prepares for answers to c.
func (r *run) answersTo(c *fwd.Client) {
	if c.Family == syscall.AF_INET6 {
		r.name = sys.MakeSockAddr6(c.Addr, c.AddrPort, 0)
	} else {
		r.name = sys.MakeSockAddr(c.Addr, c.AddrPort, 0)
	}
}

// add appends payload, of datagrams of segment bytes or one if that is zero, and tells
// whether there was room. to is the client of an answer, nil for a connected socket.
func (r *run) add(payload []byte, segment int, to *fwd.Client) bool {
	if segment == 0 || segment > len(payload) {
		segment = len(payload)
	}
	if r.joins(len(payload), segment) && r.batch.Add(payload) {
		r.bytes += len(payload)
		r.lens[r.batch.Len()-1] += datagrams(len(payload), segment)
		return true
	}
	if r.batch.Full() {
		return false
	}
	r.end()
	if to == nil {
		r.batch.Begin(nil)
	} else {
		r.batch.Begin(&r.name)
		r.batch.SetSource(to.Family, to.Local, 0)
	}
	r.batch.Add(payload)
	r.segment, r.bytes, r.closed = segment, len(payload), false
	r.lens[r.batch.Len()-1] = datagrams(len(payload), segment)
	return true
}

// joins tells whether n more bytes, in datagrams of segment bytes, may follow in the
// last message.
func (r *run) joins(n, segment int) bool {
	switch {
	case r.batch.Len() == 0 || n == 0 || r.bytes == 0:
		return false // empty datagrams stand alone
	case r.bytes%r.segment != 0 || segment > r.segment || segment < r.segment && n != segment:
		return false // a short one is the last
	}
	return r.bytes+n <= maxMessage && datagrams(r.bytes+n, r.segment) <= maxSegments
}

// end finishes the last message.
func (r *run) end() {
	if n := r.batch.Len(); n > 0 && !r.closed {
		if r.lens[n-1] > 1 {
			r.batch.SetSegment(r.segment)
		}
		r.closed = true
	}
}

func datagrams(bytes, segment int) int {
	if segment == 0 {
		return 1
	}
	return (bytes + segment - 1) / segment
}

// send transmits what is collected through fd and forgets it. sent and lost count
// datagrams; errno is the last failure, which may be about earlier ones.
func (r *run) send(fd int) (sent, lost int, errno syscall.Errno) {
	r.end()
	tried := false
	for first := 0; first < r.batch.Len(); {
		n, err := r.batch.Send(fd, first)
		if err != 0 {
			errno = err
		}
		switch {
		case err == 0:
			for _, count := range r.lens[first : first+n] {
				sent += count
			}
			first += n
			tried = false
		case !tried: // the error may be that of an earlier datagram
			tried = true
		default:
			lost += r.lens[first]
			first++
			tried = false
		}
	}
	r.batch.Reset()
	r.slot = flow.None
	return sent, lost, errno
}
