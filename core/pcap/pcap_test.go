package pcap_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/pcap"
	"github.com/pasta-net/pasta/core/sys"
)

func newFile(t *testing.T) (*os.File, *pcap.Writer) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "capture"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	w, err := pcap.NewWriter(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return f, w
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

func TestWriteFailureIsCounted(t *testing.T) {
	f, w := newFile(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	if err := syscall.Dup3(int(full.Fd()), int(f.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.Frame([]byte("header"), []byte("payload"), 0)
	}
	if w.Lost != 3 {
		t.Errorf("%d lost, want 3", w.Lost)
	}
	if _, err := pcap.NewWriter(int(full.Fd())); !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "write capture header: ") {
		t.Errorf("NewWriter on a full disk: %v, want ENOSPC", err)
	}
}

// TestNothingFollowsATornRecord: a pipe takes part of a record, then has room
// again.
func TestNothingFollowsATornRecord(t *testing.T) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	w, err := pcap.NewWriter(p[1])
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.Frame(nil, make([]byte, 60000), 0)
	}
	if w.Lost != 1 {
		t.Fatalf("%d lost, want the second frame", w.Lost)
	}
	r := os.NewFile(uintptr(p[0]), "pipe")
	defer func() { _ = r.Close() }()
	first := make([]byte, 60000)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	w.Frame(nil, []byte("third"), 0)
	sys.Close(p[1])
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if w.Lost != 2 || bytes.Contains(rest, []byte("third")) {
		t.Errorf("%d lost, want 2; the third frame follows half of the second", w.Lost)
	}
}

func TestFrameNoAllocation(t *testing.T) {
	_, w := newFile(t)
	hdr, payload := make([]byte, 54), make([]byte, 1400)
	if n := testing.AllocsPerRun(100, func() { w.Frame(hdr, payload, 1) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
