package engine

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/pasta-net/pasta/core/checksum"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/pcap"
	"github.com/pasta-net/pasta/core/tap"
)

var update = flag.Bool("update", false, "rewrite the captures below testdata")

// recorded is an engine whose tap is captured, to be compared with a capture
// below testdata. The device has no features, so that frames are complete.
type recorded struct {
	*fixture
	file *os.File
}

func newRecorded(t *testing.T) *recorded {
	t.Helper()
	cfg := testConfig()
	cfg.Link.RA = true
	r := &recorded{fixture: newFixture(t, cfg, tap.Features{})}
	var w *pcap.Writer
	r.file, w = newCapture(t, filepath.Join(t.TempDir(), "capture"))
	r.link.Capture(w)
	return r
}

func newCapture(t *testing.T, name string) (*os.File, *pcap.Writer) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file, pcap.NewWriter(int(file.Fd()), func(err error) { t.Error(err) })
}

// answer has the guest send a frame and gives what it is sent then.
func (r *recorded) answer(frame []byte) *coretest.Frame {
	r.t.Helper()
	r.receive(frame)
	var got []*coretest.Frame
	r.until("answer", func() bool {
		got = append(got, r.dev.Take(r.t)...)
		return len(got) > 0
	})
	if len(got) != 1 {
		r.t.Fatalf("%d answers, want 1", len(got))
	}
	return got[0]
}

// compare holds what was captured against testdata/name.pcap. What differs from
// run to run is made constant first: the times, and what normalise changes in a
// packet.
func (r *recorded) compare(t *testing.T, name string, normalise func(p *packet.Packet)) {
	t.Helper()
	golden := filepath.Join("testdata", name+".pcap")
	target := filepath.Join(t.TempDir(), "normalised")
	if *update {
		target = golden
	}
	out, w := newCapture(t, target)
	for i, c := range coretest.ReadCapture(t, contents(t, r.file.Name())) {
		var p packet.Packet
		if d := p.Parse(c.Data); d != packet.DropNone {
			t.Fatalf("frame %d does not parse: %v", i, d)
		}
		if normalise != nil {
			normalise(&p)
			completeChecksum(&p)
		}
		w.Frame(nil, c.Data, int64(i)*1e6)
	}
	got := coretest.ReadCapture(t, contents(t, out.Name()))
	want := coretest.ReadCapture(t, contents(t, golden))
	if len(got) != len(want) {
		t.Errorf("%d frames, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("frame %d is\n% x\nwant\n% x", i, got[i].Data, want[i].Data)
		}
	}
}

func contents(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// completeChecksum makes the transport checksum of p right again.
func completeChecksum(p *packet.Packet) {
	at := map[uint8]int{
		packet.ProtoTCP: packet.TCPCsumOff, packet.ProtoUDP: packet.UDPCsumOff, packet.ProtoICMPv6: packet.ICMPCsumOff,
	}[p.Proto]
	p.L4[at], p.L4[at+1] = 0, 0
	sum := ^checksum.Sum(p.L4, packet.PseudoSum(p.L3, p.Proto, len(p.L4)))
	p.L4[at], p.L4[at+1] = byte(sum>>8), byte(sum)
}
