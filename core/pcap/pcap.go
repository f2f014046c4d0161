// Package pcap writes captures of the tap in the classic pcap format (magic
// a1b2c3d4, version 2.4, link type Ethernet). Owned by the event loop goroutine.
//
// Import level: above sys and packet, below tap.
package pcap

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

const (
	snapLen   = 65535
	headerLen = 24
	recordLen = 16
	maxHdr    = 256 // bytes of a frame's first part, see Frame
)

// Writer appends frames to a file, until that cannot be written any more.
type Writer struct {
	fd     int
	size   int64 // of the whole records in the file
	buf    [recordLen + maxHdr]byte
	failed func(error)
	broken bool
	// Lost counts frames that could not be written; the run goes on without them.
	Lost uint64
}

// NewWriter writes the file header to fd, which stays the caller's to close. If
// that or a later write fails, failed is told why, once, and nothing more is
// written: the file ends behind its last whole record.
func NewWriter(fd int, failed func(error)) *Writer {
	w := &Writer{fd: fd, failed: failed}
	h := w.buf[:headerLen]
	binary.LittleEndian.PutUint32(h[0:], 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], snapLen)
	binary.LittleEndian.PutUint32(h[20:], 1) // LINKTYPE_ETHERNET
	w.put(h, nil)
	return w
}

// Frame records one frame given in two parts, hdr of at most 256 bytes, at
// the wall clock time given in nanoseconds since 1970. What exceeds the
// snapshot length is cut.
func (w *Writer) Frame(hdr, payload []byte, unixNanos int64) {
	if w.broken {
		w.Lost++
		return
	}
	total := len(hdr) + len(payload)
	kept := min(total, snapLen)
	binary.LittleEndian.PutUint32(w.buf[0:], uint32(unixNanos/1e9))
	binary.LittleEndian.PutUint32(w.buf[4:], uint32(unixNanos%1e9/1e3))
	binary.LittleEndian.PutUint32(w.buf[8:], uint32(kept))
	binary.LittleEndian.PutUint32(w.buf[12:], uint32(total))
	n := recordLen + copy(w.buf[recordLen:], hdr)
	want := recordLen + kept
	if !w.put(w.buf[:n], payload[:min(len(payload), want-n)]) {
		w.Lost++
	}
}

// put appends a followed by b, or nothing.
func (w *Writer) put(a, b []byte) bool {
	end := w.size + int64(len(a)+len(b))
	for len(a)+len(b) > 0 {
		n, errno := sys.Write2(w.fd, a, b)
		if errno != 0 {
			w.broken = true
			// A reader would stumble over half a record. If it cannot be
			// taken away, there is nothing more to be done.
			_ = syscall.Ftruncate(w.fd, w.size)
			w.failed(fmt.Errorf("write capture: %w", errno))
			return false
		}
		fromA := min(n, len(a))
		a, b = a[fromA:], b[n-fromA:]
	}
	w.size = end
	return true
}
