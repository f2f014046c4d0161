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

// Writer appends frames to a file.
type Writer struct {
	fd   int
	buf  [recordLen + maxHdr]byte
	torn bool // the file ends in the middle of a record
	// Lost counts frames that could not be written; the run goes on without them.
	Lost uint64
}

// NewWriter writes the file header to fd, which stays the caller's to close.
func NewWriter(fd int) (*Writer, error) {
	var h [headerLen]byte
	binary.LittleEndian.PutUint32(h[0:], 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], snapLen)
	binary.LittleEndian.PutUint32(h[20:], 1) // LINKTYPE_ETHERNET
	n, errno := sys.Write(fd, h[:])
	if errno == 0 && n < headerLen {
		errno = syscall.ENOSPC
	}
	if errno != 0 {
		return nil, fmt.Errorf("write capture header: %w", errno)
	}
	return &Writer{fd: fd}, nil
}

// Frame records one frame given in two parts, hdr of at most 256 bytes, at
// the wall clock time given in nanoseconds since 1970. What exceeds the
// snapshot length is cut. Behind a record that was written in part, as on a full
// disk, nothing is written any more: a reader would take it for that record's.
func (w *Writer) Frame(hdr, payload []byte, unixNanos int64) {
	if w.torn {
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
	rest := payload[:min(len(payload), want-n)]
	if wrote, errno := sys.Write2(w.fd, w.buf[:n], rest); errno != 0 || wrote != want {
		w.Lost++
		w.torn = errno == 0
	}
}
