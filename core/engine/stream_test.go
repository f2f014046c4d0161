package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// ownAddr answers echo requests without a socket of the host.
var ownAddr = netip.MustParseAddr("10.66.0.77")

// runStream runs an engine on a stream and gives the guest's end of that, and what
// the run ends with.
func runStream(t *testing.T) (guest *os.File, ended <-chan error) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.V4.Own = []netip.Addr{ownAddr}
	cfg.V4.Guest, cfg.V6.Guest = netip.Addr{}, netip.Addr{} // nothing is sent at the start
	e, err := New(Options{Config: cfg, Device: tap.NewStream(fds[0], tap.PrefixLE16), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Run(); close(done) }()
	guest = os.NewFile(uintptr(fds[1]), "guest") // with deadlines
	t.Cleanup(func() { guest.Close(); <-done; e.Close() })
	if err := guest.SetDeadline(time.Now().Add(coretest.Patience)); err != nil {
		t.Fatal(err)
	}
	return guest, done
}

// pings are n echo requests in the form of the stream.
func pings(first, n, size int) (b []byte) {
	for i := range n {
		frame := coretest.Echo(coretest.Guest4, ownAddr, 1, uint16(first+i), make([]byte, size))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(frame)))
		b = append(b, frame...)
	}
	return b
}

// pongSeq reads a reply and gives its sequence number.
func pongSeq(guest io.Reader) (uint16, error) {
	var n [2]byte
	if _, err := io.ReadFull(guest, n[:]); err != nil {
		return 0, err
	}
	frame := make([]byte, binary.LittleEndian.Uint16(n[:]))
	if _, err := io.ReadFull(guest, frame); err != nil {
		return 0, err
	}
	var p packet.Packet
	if drop := p.Parse(frame); drop != packet.DropNone || !p.VerifyL4() || p.Proto != packet.ProtoICMP {
		return 0, fmt.Errorf("frame dropped: %v, protocol %d", drop, p.Proto)
	}
	return packet.ICMP(p.L4).Seq(), nil
}

// TestStreamManyFramesInOnePiece: more than a turn handles, with no further event.
func TestStreamManyFramesInOnePiece(t *testing.T) {
	guest, _ := runStream(t)
	const n = 3 * tapBatches * batchLen
	if _, err := guest.Write(pings(0, n, 0)); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if seq, err := pongSeq(guest); seq != uint16(i) || err != nil {
			t.Fatalf("reply %d is to request %d, %v", i, seq, err)
		}
	}
}

// TestStreamGuestThatDoesNotRead loses replies, but no part of one, and is served
// again when it reads.
func TestStreamGuestThatDoesNotRead(t *testing.T) {
	guest, _ := runStream(t)
	const n, last, rounds = 100, 60000, 60 // more than buffers hold
	for i := range rounds {
		if _, err := guest.Write(pings(i*n, n, 1400)); err != nil {
			t.Fatal(err)
		}
	}
	read := make(chan int)
	go func() {
		got := 0
		for {
			seq, err := pongSeq(guest)
			if seq == last || err != nil {
				if err != nil {
					t.Error(err)
				}
				read <- got
				return
			}
			got++
		}
	}()
	// The last request comes again and again: the queue may be full when it comes first.
	for {
		if _, err := guest.Write(pings(last, 1, 0)); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-read:
			if got == 0 || got >= rounds*n {
				t.Errorf("%d replies, want some of %d", got, rounds*n)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestStreamEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*os.File)
		want syscall.Errno
	}{
		{"closed", func(guest *os.File) { guest.Close() }, syscall.EPIPE},
		{"garbage", func(guest *os.File) { _, _ = guest.Write([]byte{1, 0}) }, syscall.EPROTO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			guest, ended := runStream(t)
			tt.end(guest)
			if err := <-ended; !errors.Is(err, ErrTap) || !errors.Is(err, tt.want) {
				t.Errorf("ended with %v, want %v", err, tt.want)
			}
		})
	}
}
