package tap

import (
	"encoding/binary"
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
)

// Prefix is how a byte stream tells frames apart: by their length, in front of each.
type Prefix uint8

// The prefixes.
const (
	// PrefixLE16 is two bytes, little endian: VMNET of VPNKit.
	PrefixLE16 Prefix = iota
	// PrefixBE32 is four bytes, big endian: "-netdev stream" of QEMU.
	PrefixBE32
)

// Bounds of the length of a frame on a stream, in bytes.
const (
	minStreamFrame = packet.EthLen
	maxStreamFrame = 65535
)

// Len is the length of the prefix itself, in bytes.
func (p Prefix) Len() int {
	if p == PrefixBE32 {
		return 4
	}
	return 2
}

// put writes the prefix of a frame of frameLen bytes to the start of b.
func (p Prefix) put(b []byte, frameLen int) {
	if p == PrefixBE32 {
		binary.BigEndian.PutUint32(b, uint32(frameLen))
		return
	}
	binary.LittleEndian.PutUint16(b, uint16(frameLen))
}

// get reads the prefix at the start of b.
func (p Prefix) get(b []byte) (frameLen uint32) {
	if p == PrefixBE32 {
		return binary.BigEndian.Uint32(b)
	}
	return uint32(binary.LittleEndian.Uint16(b))
}

// frameReader cuts a stream into frames, in whatever pieces that comes.
type frameReader struct {
	prefix     Prefix
	buf        []byte // holds more than the longest frame
	start, end int    // what has come and was not given out
}

// next gives the next frame, valid until room is called. EAGAIN: more has to come
// first. EPROTO: no frame has such a length, so nobody knows where the next starts.
func (r *frameReader) next() ([]byte, syscall.Errno) {
	b, n := r.buf[r.start:r.end], r.prefix.Len()
	if len(b) < n {
		return nil, syscall.EAGAIN
	}
	frameLen := r.prefix.get(b)
	if frameLen < minStreamFrame || frameLen > maxStreamFrame {
		return nil, syscall.EPROTO
	}
	end := n + int(frameLen)
	if len(b) < end {
		return nil, syscall.EAGAIN
	}
	r.start += end
	return b[n:end:end], 0
}

// room is where the stream goes on; received tells how much of it was filled. When
// next has given all frames, there is room for the rest of the one that has begun.
func (r *frameReader) room() []byte {
	r.end = copy(r.buf, r.buf[r.start:r.end])
	r.start = 0
	return r.buf[r.end:]
}

func (r *frameReader) received(n int) { r.end += n }

// frameQueue holds frames in the form of the stream, until the stream takes them: it
// may take a part of one, and has to get the rest next.
type frameQueue struct {
	prefix     Prefix
	buf        []byte
	start, end int // what the stream has not taken
}

// put appends hdr followed by payload as one frame. False: there is no room.
func (q *frameQueue) put(hdr, payload []byte) bool {
	n := len(hdr) + len(payload)
	if !q.fits(q.prefix.Len() + n) {
		return false
	}
	q.prefix.put(q.buf[q.end:], n)
	q.end += q.prefix.Len()
	q.end += copy(q.buf[q.end:], hdr)
	q.end += copy(q.buf[q.end:], payload)
	return true
}

// fits makes room for n bytes, if there is any. Moving what is queued has to pay: it
// is done once for each quarter of the buffer that the stream takes.
func (q *frameQueue) fits(n int) bool {
	if q.end+n > len(q.buf) && q.start >= len(q.buf)/4 {
		q.end = copy(q.buf, q.buf[q.start:q.end])
		q.start = 0
	}
	return q.end+n <= len(q.buf)
}

// pending is what the stream is to take next.
func (q *frameQueue) pending() []byte { return q.buf[q.start:q.end] }

// taken notes that the stream took n bytes of what was pending.
func (q *frameQueue) taken(n int) {
	q.start += n
	if q.start == q.end {
		q.start, q.end = 0, 0
	}
}
