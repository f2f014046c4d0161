package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// running is an engine on a real tap that turns on a goroutine of its own.
type running struct {
	*Engine
	turns atomic.Int64
	done  chan error
}

// start runs an engine on dev. Its turns are counted.
func start(t *testing.T, dev tap.Device) *running {
	t.Helper()
	r := &running{Engine: newEngine(t, testConfig(), dev), done: make(chan error, 1)}
	go func() {
		for !r.finished() {
			if err := r.turn(); err != nil {
				r.done <- err
				return
			}
			r.turns.Add(1)
		}
		r.done <- nil
	}()
	return r
}

// wantIdle fails if the engine turns more than a few times while nothing happens.
func (r *running) wantIdle(t *testing.T, when string) {
	t.Helper()
	const window, few = 200 * time.Millisecond, 20 // the kernel's own packets
	before := r.turns.Load()
	time.Sleep(window) // measures; nothing is waited for
	if n := r.turns.Load() - before; n > few {
		t.Errorf("%s: %d turns in %v", when, n, window)
	}
	select {
	case err := <-r.done:
		t.Fatalf("%s: ended: %v", when, err)
	default:
	}
}

// wantErrTap waits for the end of the engine.
func (r *running) wantErrTap(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.done:
		if !errors.Is(err, ErrTap) {
			t.Errorf("ended with %v, want ErrTap", err)
		}
	case <-time.After(10 * time.Second):
		r.Stop()
		t.Error("still running without a tap")
		<-r.done
	}
}

const upLink = `
	link set tap0 up addrgenmode none
	addr replace 10.66.0.2/24 dev tap0
`

func openTap(t *testing.T, feat tap.Features) *tap.TUN {
	t.Helper()
	dev, err := tap.OpenTUN("tap0", feat)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// echoOnce has the guest send a datagram to the host's loopback and back.
func echoOnce(t *testing.T) {
	t.Helper()
	host, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	port := host.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	guest, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(coretest.Families[0].Gateway, port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = guest.Close() }()
	b := make([]byte, 8)
	for _, c := range []*net.UDPConn{host, guest} {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	}
	if _, err := guest.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	n, from, err := host.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != "ping" {
		t.Fatalf("host got %q, %v", b[:n], err)
	}
	if _, err := host.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
		t.Fatal(err)
	}
	if n, err := guest.Read(b); err != nil || string(b[:n]) != "pong" {
		t.Fatalf("guest got %q, %v", b[:n], err)
	}
}

// TestTapDownAndUp: kernel assumption. A tap whose link is down does not make the
// loop spin, not even when we send to it; it works again when it is up.
func TestTapDownAndUp(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, "link set lo up\n")
		for _, feat := range []tap.Features{{}, coretest.AllFeatures} {
			dev := openTap(t, feat)
			r := start(t, dev)
			r.wantIdle(t, "before the link is up")
			netnstest.IP(t, upLink)
			echoOnce(t)
			netnstest.IP(t, "link set tap0 down\n")
			r.loop.Post(func() { r.neigh.Start(0) }) // sends while it is down
			r.wantIdle(t, "down")
			netnstest.IP(t, upLink)
			echoOnce(t)
			r.wantIdle(t, "up again")
			r.Stop()
			if err := <-r.done; err != nil {
				t.Error(err)
			}
			if r.link.Stats.SendErrors == 0 {
				t.Error("no send failed: the link was not down")
			}
			dev.Close()
		}
	})
}

// TestTapDeleted: the run ends when the guest deletes the interface.
func TestTapDeleted(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		r := start(t, openTap(t, coretest.AllFeatures))
		netnstest.IP(t, upLink+"link del tap0\n")
		r.wantErrTap(t)
	})
}

// TestTapKeepsItsNamespace: kernel assumption. An open tap holds its network
// namespace: once no process is left in it nothing is reported, and the loop
// sleeps. Somebody else has to watch the namespace (netcfg/netns does).
func TestTapKeepsItsNamespace(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		type result struct {
			dev *tap.TUN
			tid int
			err error
		}
		opened := make(chan result)
		go onMortalThread(func() {
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				opened <- result{err: err}
				return
			}
			dev, err := tap.OpenTUN("tap0", coretest.AllFeatures)
			opened <- result{dev, syscall.Gettid(), err}
		})
		res := <-opened
		if res.err != nil {
			t.Fatal(res.err)
		}
		r := start(t, res.dev)
		waitForEnd(t, res.tid)
		r.wantIdle(t, "alone in its namespace")
		r.Stop()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	})
}

// onMortalThread runs f on a thread that ends with f: any but the first thread of the
// process, which the Go runtime keeps.
func onMortalThread(f func()) {
	runtime.LockOSThread() // never unlocked
	if syscall.Gettid() != syscall.Getpid() {
		f()
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		onMortalThread(f)
	}()
	<-ended
	runtime.UnlockOSThread()
}

// waitForEnd returns when thread tid of this process is gone.
func waitForEnd(t *testing.T, tid int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid)); errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
	t.Fatal("the thread does not end")
}
