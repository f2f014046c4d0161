package tcp

import "github.com/pasta-net/pasta/core/seqnum"

// state is the state of a connection as RFC 9293 section 3.3.2 names them, seen
// from our end of the guest's connection. What each allows:
//
//	             from guest           to guest
//	connecting   (SYN is held)        nothing; the host side is being connected
//	synSent      SYN,ACK or RST       SYN
//	synRcvd      ACK or RST           SYN,ACK
//	established  data, FIN            data, FIN
//	finWait1     data, FIN            our FIN again
//	finWait2     data, FIN            ACK only
//	closeWait    ACK                  data, FIN
//	closing      ACK                  our FIN again
//	lastAck      ACK                  our FIN again
//	timeWait     FIN again, new SYN   ACK only; the host socket goes when nothing is held
type state uint8

const (
	closed state = iota
	connecting
	synSent
	synRcvd
	established
	finWait1
	finWait2
	closeWait
	closing
	lastAck
	timeWait
)

// takesData tells whether the guest may still send data.
func (s state) takesData() bool { return s == established || s == finWait1 || s == finWait2 }

// sendsData tells whether we may still send data to the guest.
func (s state) sendsData() bool { return s == established || s == closeWait }

// synchronized tells whether both SYNs are acknowledged and the host socket is
// still needed.
func (s state) synchronized() bool { return s >= established && s != timeWait }

// sentFIN tells whether our FIN has been sent and not yet acknowledged.
func (s state) sentFIN() bool { return s == finWait1 || s == closing || s == lastAck }

// flags are properties of a connection that come and go.
type flags uint32

const (
	// readable: the host socket may have data or an end of file for the guest.
	readable flags = 1 << iota
	// hostEOF: the remote end of the host socket has shut down.
	hostEOF
	// guestFIN: the guest's FIN was received; the host socket is to be shut down
	// once nothing is held.
	guestFIN
	// dirty: the connection is on the list of this batch.
	dirty
	// ackNow: an acknowledgment is due at the end of this batch.
	ackNow
	// interactive: data to the guest has followed data from it closely, so that
	// an acknowledgment may wait for it.
	interactive
	// wantOut: waiting for the host socket's send buffer to drain.
	wantOut
	// recovering: a loss was found, sndUna has not reached recover.
	recovering
	// timing: rttSeq and rttAt measure a round trip.
	timing
	// bulk: more than a few bytes may have waited on the host socket since it
	// was last empty.
	bulk
	// scaled: both ends agreed on window scaling.
	scaled
	// resend: the first unacknowledged segment is to be sent again.
	resend
	// linkFull: the link refused a segment; rtxAt is when to try again.
	linkFull
	// stalled: on the list of those that go on when the link has room.
	stalled
	// synAgain: a SYN was retransmitted (RFC 6298 section 5.7).
	synAgain
	// hostErr: the host socket has failed; the guest gets RST after the data that came
	// before.
	hostErr
	// writeFailed: the host socket refused data for good. With hostErr.
	writeFailed
	// heavy: the kernel's overhead in the host socket's send buffer exceeded what
	// windows reserve for it.
	heavy
	// earlyFIN: the guest's FIN came beyond a gap.
	earlyFIN
	// queued: in the backlog.
	queued
	// urgent: the host socket has had urgent data. Reads stop at its mark, so a short
	// one does not show the end of the queue.
	urgent
	// ackSoon: on the list of those that acknowledge in the next turn.
	ackSoon
)

// conn is one TCP connection of the guest and the host socket it is translated
// to. It holds no pointer, so that the garbage collector skips the table.
type conn struct {
	fd    int32 // host socket; -1: closed
	state state
	flags flags

	// Towards the guest (RFC 9293 section 3.3.1). What is between sndUna and
	// sndMax is at the head of the host socket's receive queue, behind
	// acked bytes that the guest has acknowledged and that were not discarded yet.
	sndUna, sndNxt, sndMax seqnum.Value
	sndWL1, sndWL2         seqnum.Value
	sndWnd                 uint32 // bytes
	maxWnd                 uint32 // largest sndWnd so far
	acked                  uint32 // bytes to take off the host socket
	deferred               uint8  // batches that put that off
	peekOff                uint32 // the host socket's SO_PEEK_OFF
	mss                    uint16 // payload bytes per segment to the guest
	sndShift, rcvShift     uint8
	dupAcks                uint8

	// Loss recovery (RFC 6298, RFC 6582).
	backoff        uint8
	cwnd, ssthresh uint32
	recover        seqnum.Value
	rttSeq         seqnum.Value

	// From the guest.
	rcvNxt   seqnum.Value
	rcvAdv   seqnum.Value // right edge of the window last advertised
	lastAck  seqnum.Value // acknowledgment number last sent
	granted  uint32       // window when the kernel was last asked for its room
	held     uint32       // bytes accepted but not yet taken by the host socket
	heldHead uint16       // first and last chunk of them, index+1
	heldTail uint16

	// Early data: first of its chunks, index+1, and their number; the number of the
	// FIN behind it.
	early       uint16
	earlyChunks uint8
	finAt       seqnum.Value

	// Times in loop nanoseconds; 0: not set.
	rttAt, srtt, rttVar int64
	rtxAt               int64 // retransmission, probe or end of TIME-WAIT
	rtxSince            int64 // since when nothing was acknowledged
	ackAt               int64 // delayed acknowledgment
	discardAt           int64 // end of the delay of a discard
	roomAt              int64 // when the host socket had room again
	outAt               int64 // when to try a host socket again that lacks kernel memory
	lastFromGuest       int64
	lastData            int64 // last data from the guest
	lastActive          int64 // last data either way
	probedAt            int64 // last keep-alive probe
}

func (c *conn) has(f flags) bool { return c.flags&f != 0 }
func (c *conn) set(f flags)      { c.flags |= f }
func (c *conn) clear(f flags)    { c.flags &^= f }

// owesGuest tells whether the host socket may have data that the guest has not been
// sent yet, but will be.
func (c *conn) owesGuest() bool {
	return c.has(readable) && (c.state.sendsData() || c.state == synRcvd)
}

// inFlight is the number of sequence numbers sent and not acknowledged.
func (c *conn) inFlight() uint32 { return uint32(c.sndNxt - c.sndUna) }

// behind tells whether data that was sent before is being sent again.
func (c *conn) behind() bool { return c.sndNxt != c.sndMax }

// emptySeq is the sequence number of empty segments: SndMax, even while old data is
// sent again, because a guest that has this data would find SndNxt outside its
// window; but not beyond the window, should the guest have taken that back
// by more than rounding.
func (c *conn) emptySeq() seqnum.Value {
	edge := c.sndUna.Add(seqnum.Size(c.sndWnd))
	if edge.Add(1 << c.sndShift).LessThan(c.sndMax) {
		return edge
	}
	return c.sndMax
}

// dataEnd is the sequence number behind the last byte of data sent: sndMax without
// our FIN.
func (c *conn) dataEnd() seqnum.Value {
	if c.state.sentFIN() {
		return c.sndMax - 1
	}
	return c.sndMax
}
