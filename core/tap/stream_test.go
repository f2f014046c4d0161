package tap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
)

var prefixes = map[string]Prefix{"two bytes": PrefixLE16, "four bytes": PrefixBE32}

// newStream gives a stream and the guest's end of its socket, which blocks.
func newStream(t testing.TB, p Prefix) (*Stream, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	s, guest := NewStream(fds[0], p), os.NewFile(uintptr(fds[1]), "guest")
	t.Cleanup(func() { s.Close(); guest.Close() })
	return s, guest
}

// framed is a frame as it stands on the stream.
func framed(p Prefix, frame []byte) []byte {
	b := make([]byte, p.Len(), p.Len()+len(frame))
	p.put(b, len(frame))
	return append(b, frame...)
}

// pattern is a frame of n bytes that differs from that of other seeds.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + seed)
	}
	return b
}

func write(t testing.TB, f *os.File, b []byte) {
	t.Helper()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

// received gives the frames that s has now, and what ended them.
func received(s *Stream) (frames [][]byte, errno syscall.Errno) {
	b := make([]byte, RecvLen)
	for {
		n, errno := s.Recv(b)
		if errno != 0 {
			return frames, errno
		}
		frames = append(frames, bytes.Clone(b[:n]))
	}
}

func TestPrefix(t *testing.T) {
	for _, tt := range []struct {
		p    Prefix
		n    int
		want []byte
	}{
		{PrefixLE16, 60, []byte{60, 0}},
		{PrefixLE16, 65535, []byte{0xff, 0xff}},
		{PrefixLE16, 0x1234, []byte{0x34, 0x12}},
		{PrefixBE32, 0x1234, []byte{0, 0, 0x12, 0x34}},
	} {
		got := framed(tt.p, make([]byte, tt.n))[:tt.p.Len()]
		if !bytes.Equal(got, tt.want) || tt.p.get(got) != uint32(tt.n) {
			t.Errorf("prefix %d of %d bytes: % x, read as %d, want % x", tt.p, tt.n, got, tt.p.get(got), tt.want)
		}
	}
}

// TestStreamRecv has the guest send frames in pieces of every kind.
func TestStreamRecv(t *testing.T) {
	for name, p := range prefixes {
		frames := [][]byte{pattern(14, 1), pattern(60, 2), pattern(65535, 3), pattern(1514, 4)}
		var all []byte
		for _, f := range frames {
			all = append(all, framed(p, f)...)
		}
		for _, piece := range []int{1, 3, 1000, 65536, len(all)} {
			t.Run(fmt.Sprintf("%s, pieces of %d", name, piece), func(t *testing.T) {
				s, guest := newStream(t, p)
				var got [][]byte
				for rest := all; len(rest) > 0; {
					n := min(piece, len(rest))
					write(t, guest, rest[:n])
					rest = rest[n:]
					more, errno := received(s)
					if errno != syscall.EAGAIN {
						t.Fatal(errno)
					}
					got = append(got, more...)
				}
				if len(got) != len(frames) {
					t.Fatalf("%d frames, want %d", len(got), len(frames))
				}
				for i := range got {
					if !bytes.Equal(got[i], frames[i]) {
						t.Errorf("frame %d: %d bytes that differ from those sent", i, len(got[i]))
					}
				}
			})
		}
	}
}

// TestStreamRecvEnd: the frames before the end are given out.
func TestStreamRecvEnd(t *testing.T) {
	good := pattern(60, 1)
	for _, tt := range []struct {
		name string
		p    Prefix
		tail []byte
		want syscall.Errno
	}{
		{"closed", PrefixLE16, nil, syscall.EPIPE},
		{"closed within a frame", PrefixLE16, []byte{60, 0, 1, 2}, syscall.EPIPE},
		{"empty frame", PrefixLE16, []byte{0, 0}, syscall.EPROTO},
		{"short frame", PrefixLE16, []byte{13, 0}, syscall.EPROTO},
		{"short frame of four bytes", PrefixBE32, []byte{0, 0, 0, 13}, syscall.EPROTO},
		{"long frame", PrefixBE32, []byte{0, 1, 0, 0}, syscall.EPROTO},
		{"negative length", PrefixBE32, []byte{0xff, 0xff, 0xff, 0xff}, syscall.EPROTO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, guest := newStream(t, tt.p)
			write(t, guest, append(framed(tt.p, good), tt.tail...))
			guest.Close()
			got, errno := received(s)
			if errno == syscall.EAGAIN { // after a short read, to be asked again
				_, errno = received(s)
			}
			if errno != tt.want || len(got) != 1 || !bytes.Equal(got[0], good) {
				t.Errorf("%d frames, then %v, want the one and %v", len(got), errno, tt.want)
			}
		})
	}
}

// TestStreamSendWholeFrames: to a guest that reads slowly, frames are refused but
// never cut.
func TestStreamSendWholeFrames(t *testing.T) {
	for name, p := range prefixes {
		t.Run(name, func(t *testing.T) {
			s, guest := newStream(t, p)
			var want bytes.Buffer
			refused := fill(t, s, p, &want)
			if refused != syscall.ENOBUFS {
				t.Fatalf("refused with %v, want ENOBUFS", refused)
			}
			reader := guestReads(guest)
			for s.Flush() {
				waitWritable(t, s)
			}
			if errno := s.Send(pattern(14, 0), pattern(100, 1)); errno != 0 {
				t.Fatalf("with room again: %v", errno)
			}
			want.Write(framed(p, append(pattern(14, 0), pattern(100, 1)...)))
			if s.Flush() {
				t.Error("nobody takes the last frame")
			}
			syscall.Shutdown(s.FD(), syscall.SHUT_WR)
			if got := <-reader; !bytes.Equal(got, want.Bytes()) {
				t.Errorf("guest got %d bytes, want %d", len(got), want.Len())
			}
		})
	}
}

// fill sends frames of many lengths until one is refused, and notes the others.
func fill(t testing.TB, s *Stream, p Prefix, sent *bytes.Buffer) syscall.Errno {
	t.Helper()
	for i := range 100000 {
		hdr, payload := pattern(14+i%50, i), pattern((i*997)%9000, i+1)
		if errno := s.Send(hdr, payload); errno != 0 {
			return errno
		}
		sent.Write(framed(p, append(hdr, payload...)))
	}
	t.Fatal("a queue without end")
	return 0
}

func guestReads(guest *os.File) <-chan []byte {
	c := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(guest)
		c <- b
	}()
	return c
}

// waitWritable waits as the loop does.
func waitWritable(t testing.TB, s *Stream) {
	t.Helper()
	var set syscall.FdSet
	set.Bits[s.FD()/64] |= 1 << (s.FD() % 64)
	if _, err := syscall.Select(s.FD()+1, nil, &set, nil, nil); err != nil && err != syscall.EINTR {
		t.Fatal(err)
	}
}

func TestStreamSendErrors(t *testing.T) {
	s, guest := newStream(t, PrefixLE16)
	if errno := s.Send(make([]byte, 14), make([]byte, 65522)); errno != syscall.EMSGSIZE {
		t.Errorf("frame of 65536 bytes: %v, want EMSGSIZE", errno)
	}
	if s.Flush() {
		t.Error("an empty queue wants to go on")
	}
	guest.Close()
	if errno := s.Send(make([]byte, 60), nil); errno != 0 {
		t.Errorf("frame into the queue: %v", errno)
	}
	if s.Flush() {
		t.Error("a queue that nobody takes wants to go on")
	}
	if errno := s.Send(make([]byte, 60), nil); errno != syscall.EIO {
		t.Errorf("frame to nobody: %v, want EIO", errno)
	}
}

func TestStreamAllocatesNothing(t *testing.T) {
	s, guest := newStream(t, PrefixLE16)
	frame := framed(PrefixLE16, pattern(1514, 1))
	b, hdr := make([]byte, RecvLen), pattern(54, 2)
	guestFD := int(guest.Fd())
	got := testing.AllocsPerRun(100, func() {
		syscall.Write(guestFD, frame)
		s.Recv(b)
		s.Send(hdr, frame)
		s.Flush()
		syscall.Read(guestFD, b)
	})
	if got != 0 {
		t.Errorf("%v allocations per frame", got)
	}
}

// FuzzFrameReader: whatever comes in whatever pieces, frames are those that a
// straightforward reading of the whole finds.
func FuzzFrameReader(f *testing.F) {
	two := append(framed(PrefixLE16, pattern(14, 1)), framed(PrefixLE16, pattern(60, 2))...)
	f.Add(two, uint8(1), false)
	f.Add(append(framed(PrefixBE32, pattern(14, 1)), 0, 0, 0, 13), uint8(5), true)
	f.Add([]byte{255, 255, 1}, uint8(200), false)
	f.Fuzz(func(t *testing.T, b []byte, piece uint8, four bool) {
		p := PrefixLE16
		if four {
			p = PrefixBE32
		}
		r := frameReader{prefix: p, buf: make([]byte, maxStreamFrame+p.Len())}
		var got [][]byte
		var errno syscall.Errno
		for rest := b; len(rest) > 0 && errno != syscall.EPROTO; {
			n := copy(r.room(), rest[:min(len(rest), int(piece)+1)])
			if n == 0 {
				t.Fatal("no room for the rest of a frame")
			}
			r.received(n)
			rest = rest[n:]
			errno = drain(&r, &got)
		}
		compare(t, p, b, got, errno == syscall.EPROTO)
	})
}

func drain(r *frameReader, got *[][]byte) syscall.Errno {
	for {
		frame, errno := r.next()
		if errno != 0 {
			return errno
		}
		*got = append(*got, bytes.Clone(frame))
	}
}

// compare reads b at one go.
func compare(t *testing.T, p Prefix, b []byte, got [][]byte, failed bool) {
	t.Helper()
	for len(b) >= p.Len() {
		n := int(p.get(b))
		if n < minStreamFrame || n > maxStreamFrame {
			if !failed {
				t.Errorf("length %d accepted", n)
			}
			break
		}
		if len(b) < p.Len()+n {
			break
		}
		if len(got) == 0 || !bytes.Equal(got[0], b[p.Len():p.Len()+n]) {
			t.Fatalf("frame of %d bytes missing or changed", n)
		}
		got, b = got[1:], b[p.Len()+n:]
	}
	if len(got) != 0 {
		t.Errorf("%d frames that were not sent", len(got))
	}
}
