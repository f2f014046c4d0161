package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/core/tap"
)

// streamGuest is a guest that has nothing but one address of ours to ping, and the
// other end of its link.
func streamGuest(t *testing.T) (*service.Guest, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := *coretest.Config()
	cfg.Link.Quiet = true
	cfg.V4.Own = append(cfg.V4.Own, coretest.Gateway4)
	far := os.NewFile(uintptr(fds[1]), "guest")
	t.Cleanup(func() { far.Close() })
	return &service.Guest{Config: cfg, Link: service.Link{Device: tap.NewStream(fds[0], tap.PrefixBE32)}}, far
}

// TestHub: guests are served side by side, and one that goes does not end the others.
func TestHub(t *testing.T) {
	var stopped service.Engine
	serve := func(attach service.Attach, log *slog.Logger) error {
		if log == nil {
			t.Error("no log")
		}
		ended := make(chan error, 2)
		first, far1 := streamGuest(t)
		second, far2 := streamGuest(t)
		first.Started = func(e service.Engine) { stopped = e }
		for _, g := range []*service.Guest{first, second} {
			go func() { ended <- attach(g) }()
		}
		ping(t, far1)
		far1.Close()
		if err := <-ended; !errors.Is(err, engine.ErrTap) || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("first guest ended with %v", err)
		}
		ping(t, far2)
		far2.Close()
		<-ended
		return errors.New("no more guests")
	}
	exit := 0
	stderr := stderrOf(t, func() { exit = ServeHub(&service.Hub{Name: "hub", Level: slog.LevelWarn, Serve: serve}) })
	if exit != 1 || strings.TrimSpace(stderr) != "no more guests" {
		t.Errorf("status %d, %q", exit, stderr)
	}
	stopped.Wake() // after the end, for nothing
}

// ping has one echo request answered.
func ping(t *testing.T, far *os.File) {
	t.Helper()
	frame := coretest.Echo(coretest.Guest4, coretest.Gateway4, 1, 1, nil)
	if _, err := far.Write(append([]byte{0, 0, 0, byte(len(frame))}, frame...)); err != nil {
		t.Fatal(err)
	}
	const minFrame = 60
	if _, err := io.ReadFull(far, make([]byte, 4+minFrame)); err != nil {
		t.Fatal(err)
	}
}

// TestHubMemory: idle guests need little, those that come after others, too. One data
// path has 90 MB of tables and buffers.
func TestHubMemory(t *testing.T) {
	const guests, rounds = 32, 3
	most := guests << 10 // kB in all
	if raceEnabled {     // which has memory of its own
		most *= 4
	}
	before, peak := residentKB(t), 0
	serve := func(attach service.Attach, _ *slog.Logger) error {
		for range rounds {
			ended := make(chan error, guests)
			var far []*os.File
			for range guests {
				g, f := streamGuest(t)
				far = append(far, f)
				go func() { ended <- attach(g) }()
				ping(t, f)
			}
			peak = max(peak, residentKB(t))
			for _, f := range far {
				f.Close()
				<-ended
			}
		}
		return nil
	}
	ServeHub(&service.Hub{Level: slog.LevelError, Serve: serve})
	if grown := peak - before; grown > most {
		t.Errorf("%d guests took %d kB of memory, want at most %d", guests, grown, most)
	} else {
		t.Logf("%d kB", grown)
	}
}

// residentKB is the memory of this process that is there, in kB.
func residentKB(t *testing.T) (kB int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
			return kB
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func TestHubThatEnds(t *testing.T) {
	serve := func(service.Attach, *slog.Logger) error { return nil }
	if exit := ServeHub(&service.Hub{Serve: serve}); exit != 0 {
		t.Errorf("status %d, want 0", exit)
	}
}

// TestAttachFails: the link is closed when the guest cannot be served.
func TestAttachFails(t *testing.T) {
	g, far := streamGuest(t)
	g.Link.Device = unwatched{g.Link.Device}
	if err := attach(g, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a link that cannot be watched is served")
	}
	if n, err := far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("other end: %d, %v, want the end", n, err)
	}
}

// unwatched has a descriptor that epoll refuses.
type unwatched struct{ tap.Device }

func (unwatched) FD() int { return 1 << 20 }
