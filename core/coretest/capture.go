package coretest

import (
	"encoding/binary"
	"testing"
	"time"
)

// Captured is one frame of a capture as a reader sees it.
type Captured struct {
	At    time.Time
	Total int    // bytes of the frame
	Data  []byte // what was kept of it
}

// Lengths of the headers of a capture file and of each record.
const (
	captureHeader = 24
	captureRecord = 16
)

// ReadCapture takes a capture apart, by the format's description (libpcap's
// pcap-savefile(5)), and fails the test on anything but whole records of
// Ethernet frames.
func ReadCapture(t testing.TB, b []byte) []Captured {
	t.Helper()
	le := binary.LittleEndian
	if len(b) < captureHeader || le.Uint32(b) != 0xa1b2c3d4 || le.Uint16(b[4:]) != 2 || le.Uint16(b[6:]) != 4 ||
		le.Uint64(b[8:]) != 0 || le.Uint32(b[16:]) != 65535 || le.Uint32(b[20:]) != 1 {
		t.Fatalf("file header % x", b[:min(len(b), captureHeader)])
	}
	var list []Captured
	for b = b[captureHeader:]; len(b) > 0; {
		if len(b) < captureRecord {
			t.Fatalf("%d bytes behind the last record", len(b))
		}
		n := int(le.Uint32(b[8:]))
		if n > len(b)-captureRecord || n > 65535 {
			t.Fatalf("record of %d bytes with %d left", n, len(b)-captureRecord)
		}
		at := time.Unix(int64(le.Uint32(b)), int64(le.Uint32(b[4:]))*1000)
		list = append(list, Captured{at, int(le.Uint32(b[12:])), b[captureRecord:][:n]})
		b = b[captureRecord+n:]
	}
	return list
}
