package slirp4netns

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg/attach"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func TestAttachErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&attach.Error{Step: attach.StepOpen, Path: "/x", Errno: syscall.EACCES}, "/x: Permission denied"},
		{&attach.Error{Step: attach.StepEnter, Errno: syscall.EPERM}, "setns(CLONE_NEWNET): Operation not permitted"},
		{&attach.Error{Step: attach.StepTun, Errno: syscall.ENOENT}, `open("/dev/net/tun"): No such file or directory`},
		{&attach.Error{Step: attach.StepTap, Errno: syscall.EBUSY}, "ioctl(TUNSETIFF): Device or resource busy"},
		{&attach.Error{Step: attach.StepTap, Text: "no descriptor"}, "ioctl(TUNSETIFF): No descriptor"},
		{&attach.Error{Step: attach.StepConfigure, Errno: syscall.EINVAL, Text: "set link: invalid argument"}, "set link: invalid argument"},
		{errors.New("fork: cause"), "fork: cause"},
	} {
		if got := wordedAttach(tt.err).Error(); got != tt.want+"\nchild failed(1)" {
			t.Errorf("%v is worded %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestTapFD serves a tap that the caller has opened, and refuses what is none.
func TestTapFD(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		for _, vnetHdr := range []bool{false, true} {
			fd, _, step, err := sys.TapOpen("tap%d", vnetHdr)
			if err != nil {
				t.Fatal(step, err)
			}
			dev, err := adopt(fd)
			if err != nil {
				t.Fatal(err)
			}
			if got := dev.Features().VnetHdr; got != vnetHdr {
				t.Errorf("header %v, want that of the tap, %v", got, vnetHdr)
			}
			dev.Close()
		}
	})
}

func TestTapFDThatIsNone(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if dev, err := adopt(int(null.Fd())); err == nil {
		t.Errorf("adopted %v", dev)
	}
}

// TestBess serves the peer that connects, in place of what was at the path.
func TestBess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bess.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	messages, stderr := io.Pipe()
	opened := make(chan tap.Device, 1)
	go func() {
		r := &run{Program: Program{Stderr: stderr}, settings: newSettings(&bytes.Buffer{})}
		dev, err := r.awaitPeer(path)
		if err != nil {
			t.Error(err)
		}
		opened <- dev
	}()
	b := make([]byte, 1000)
	if n, _ := messages.Read(b); string(b[:n]) != "Waiting for connection to "+path+"\n" {
		t.Errorf("tells %q", b[:n])
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	dev := <-opened
	defer dev.Close()
	if got := dev.Features().MTU; got != defaultMTU {
		t.Errorf("sends packets of up to %d bytes, want %d", got, defaultMTU)
	}
	if errno := dev.Send([]byte("frame"), nil); errno != 0 {
		t.Fatal(errno)
	}
	if n, err := syscall.Read(fd, b); err != nil || string(b[:n]) != "frame" {
		t.Errorf("peer got %q, %v", b[:max(n, 0)], err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err == nil {
		t.Error("a second connection is served")
	}
}

func TestDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	d := takeDescriptors(fd, noFD)
	if err := d.tellReady(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "1" {
		t.Errorf("ready descriptor: %q, %v, want 1 and the end", b, err)
	}
	const closed = 1 << 19
	d = takeDescriptors(closed, closed)
	if d.ready != noFD || !d.hungUp || d.tellReady() != nil {
		t.Errorf("closed descriptors: %+v", d)
	}
	d.awaitHangup() // at once
}

func TestExitDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := syscall.Dup(int(r.Fd())) // like one that was inherited
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	d := takeDescriptors(noFD, fd)
	if d.hungUp {
		t.Error("an open descriptor counts as closed")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.awaitHangup()
	}()
	w.Close()
	<-ended
}

func TestVisible(t *testing.T) {
	got := visible()
	if len(got) < 2 || strings.Join(got[:2], " ") != "/etc /run" {
		t.Errorf("visible in the sandbox: %q", got)
	}
}

func TestFollowParent(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, sandboxSelf: true, strconv.Itoa(os.Getppid()): true, strconv.Itoa(os.Getpid()): false,
	} {
		t.Setenv(sandboxEnv, value)
		if err := followParent(); (err == nil) != ok {
			t.Errorf("started by %q: %v, want success %v", value, err, ok)
		}
		if insideSandbox() != (value != "") {
			t.Errorf("%q counts as inside: %v", value, insideSandbox())
		}
	}
	if err := isolate.DieWith(0); err != nil {
		t.Error(err)
	}
}
