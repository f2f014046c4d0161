package pcap_test

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/pcap"
)

func newFile(t *testing.T) (*os.File, *pcap.Writer) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "capture"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, pcap.NewWriter(int(f.Fd()), func(err error) { t.Errorf("capture failed: %v", err) })
}

func TestFramesReadBack(t *testing.T) {
	f, w := newFile(t)
	long := bytes.Repeat([]byte("0123456789abcdef"), 4096) // 65536 bytes
	frames := []struct {
		name         string
		hdr, payload []byte
		kept         int
	}{
		{"header alone", []byte("header"), nil, 6},
		{"payload alone", nil, []byte("payload"), 7},
		{"both", []byte("header"), []byte("payload"), 13},
		{"empty", nil, nil, 0},
		{"longest header", long[:256], []byte("payload"), 263},
		{"snapshot length", long[:100], long[:65435], 65535},
		{"one beyond", long[:100], long[:65436], 65535},
		{"super-frame", long[:54], long, 65535},
	}
	at := time.Unix(1700000000, 123456789)
	for _, frame := range frames {
		w.Frame(frame.hdr, frame.payload, at.UnixNano())
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	records := coretest.ReadCapture(t, b)
	if len(records) != len(frames) || w.Lost != 0 {
		t.Fatalf("%d records with %d lost, want %d and none", len(records), w.Lost, len(frames))
	}
	for i, frame := range frames {
		whole := append(bytes.Clone(frame.hdr), frame.payload...)
		r := records[i]
		if r.Total != len(whole) || !bytes.Equal(r.Data, whole[:frame.kept]) || !r.At.Equal(at.Truncate(time.Microsecond)) {
			t.Errorf("%s: %d of %d bytes at %v, want %d of %d at %v", frame.name, len(r.Data), r.Total, r.At, frame.kept, len(whole), at)
		}
	}
}

// failures collects what a writer tells.
type failures []error

func (f *failures) add(err error) { *f = append(*f, err) }

// want checks that the writer told one error, with the reason errno.
func (f failures) want(t *testing.T, errno syscall.Errno) {
	t.Helper()
	if len(f) != 1 || !errors.Is(f[0], errno) || !strings.HasPrefix(f[0].Error(), "write capture: ") {
		t.Errorf("told %v, want once that the capture cannot be written: %v", f, errno)
	}
}

// TestFullDisk: the header already does not fit.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	var told failures
	w := pcap.NewWriter(int(full.Fd()), told.add)
	for range 3 {
		w.Frame([]byte("header"), []byte("payload"), 0)
	}
	told.want(t, syscall.ENOSPC)
	if w.Lost != 3 {
		t.Errorf("%d lost, want 3", w.Lost)
	}
}

// limitFiles limits the size of files, until the end of the test, and keeps the
// signal that comes with it from ending us.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	})
}

// TestCaptureEndsWithAWholeRecord: the limit on the size of files is in the middle
// of a record, and of its second part. Nothing is written after that, though a
// smaller record would fit.
func TestCaptureEndsWithAWholeRecord(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "capture"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	limitFiles(t, 1200)
	var told failures
	w := pcap.NewWriter(int(f.Fd()), told.add)
	for i := range 4 {
		w.Frame([]byte("header"), bytes.Repeat([]byte{byte(i)}, 500), 0)
	}
	w.Frame(nil, []byte("small"), 0)
	told.want(t, syscall.EFBIG)
	if w.Lost != 3 {
		t.Errorf("%d lost, want the last 3", w.Lost)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if records := coretest.ReadCapture(t, b); len(records) != 2 || records[1].Data[6] != 1 {
		t.Errorf("%d records, want the first 2", len(records))
	}
}

func TestFrameNoAllocation(t *testing.T) {
	_, w := newFile(t)
	hdr, payload := make([]byte, 54), make([]byte, 1400)
	if n := testing.AllocsPerRun(100, func() { w.Frame(hdr, payload, 1) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
