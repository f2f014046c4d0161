package tap

import (
	"bytes"
	"syscall"
	"testing"
)

// packetPair is a link and the descriptor of its other end.
func packetPair(t *testing.T) (*Packets, int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPackets(fds[0], 1500)
	t.Cleanup(p.Close)
	return p, fds[1]
}

func TestPacketsKeepFramesApart(t *testing.T) {
	p, far := packetPair(t)
	defer syscall.Close(far)
	if want := (Features{MTU: 1500}); p.Features() != want {
		t.Errorf("features %+v, want %+v", p.Features(), want)
	}
	for _, f := range [][2]string{{"one", ""}, {"head", "payload"}} {
		if errno := p.Send([]byte(f[0]), []byte(f[1])); errno != 0 {
			t.Fatal(errno)
		}
	}
	b := make([]byte, RecvLen)
	for _, want := range []string{"one", "headpayload"} {
		if n, err := syscall.Read(far, b); err != nil || string(b[:n]) != want {
			t.Errorf("other end got %q, %v, want %q", b[:max(n, 0)], err, want)
		}
	}
	for _, frame := range [][]byte{[]byte("x"), bytes.Repeat([]byte("y"), 65535)} {
		if _, err := syscall.Write(far, frame); err != nil {
			t.Fatal(err)
		}
		if n, errno := p.Recv(b); errno != 0 || !bytes.Equal(b[:n], frame) {
			t.Errorf("got %d bytes, %v, want %d", n, errno, len(frame))
		}
	}
	if _, errno := p.Recv(b); errno != syscall.EAGAIN {
		t.Errorf("without frame: %v, want EAGAIN", errno)
	}
}

func TestPacketsWithoutReader(t *testing.T) {
	p, far := packetPair(t)
	frame := make([]byte, 1514)
	var errno syscall.Errno
	for n := 0; errno == 0; n++ {
		if errno = p.Send(frame[:14], frame[14:]); n > 1<<20 {
			t.Fatal("the queue has no end")
		}
	}
	if errno != syscall.EAGAIN {
		t.Errorf("full: %v, want EAGAIN", errno)
	}
	syscall.Close(far)
	if errno := p.Send(frame, nil); errno != syscall.EPIPE && errno != syscall.ECONNRESET {
		t.Errorf("send to nobody: %v, want EPIPE or ECONNRESET", errno)
	}
	if _, errno := p.Recv(frame); errno != syscall.EPIPE && errno != syscall.ECONNRESET {
		t.Errorf("receive from nobody: %v, want EPIPE or ECONNRESET", errno)
	}
}

func TestPacketsDoNotAllocate(t *testing.T) {
	p, far := packetPair(t)
	defer syscall.Close(far)
	b := make([]byte, RecvLen)
	frame := make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		p.Send(frame[:14], frame[14:])
		_, _ = syscall.Read(far, b)
		_, _ = syscall.Write(far, frame)
		p.Recv(b)
	}); n != 0 {
		t.Errorf("%v allocations per frame, want none", n)
	}
}
