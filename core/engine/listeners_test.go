package engine

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
)

// bound is a socket of 127.0.0.1 with a port of the kernel's choice.
func bound(t *testing.T, proto fwd.Proto) config.Listener {
	t.Helper()
	typ := syscall.SOCK_STREAM
	if proto == fwd.UDP {
		typ = syscall.SOCK_DGRAM
	}
	fd, err := syscall.Socket(syscall.AF_INET, typ|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if proto == fwd.TCP {
		if err := syscall.Listen(fd, 16); err != nil {
			t.Fatal(err)
		}
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(sa.(*syscall.SockaddrInet4).Port)
	return config.Listener{FD: fd, Port: port, Rule: fwd.Rule{Proto: proto, First: port, Last: port, Target: 80}}
}

// startRun starts a run that ends with the test.
func startRun(t *testing.T) *Engine {
	t.Helper()
	e, err := New(Options{Config: testConfig(), Device: coretest.NewMemTap(t, coretest.AllFeatures), Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run() }()
	t.Cleanup(func() {
		e.Stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return e
}

func TestListenersComeAndGo(t *testing.T) {
	e := startRun(t)
	for _, proto := range []fwd.Proto{fwd.TCP, fwd.UDP} {
		t.Run(proto.String(), func(t *testing.T) {
			var list []config.Listener
			for range listenerBatch + 3 {
				list = append(list, bound(t, proto))
			}
			if err := e.AddListeners(list); err != nil {
				t.Fatal(err)
			}
			if err := e.RemoveListeners(list[:1]); err != nil {
				t.Fatal(err)
			}
			if port := list[0].Port; !free(proto, port) {
				t.Errorf("%s port %d is in use after its removal", proto, port)
			}
			if port := list[1].Port; free(proto, port) {
				t.Errorf("%s port %d is free, want its listener", proto, port)
			}
			if err := e.RemoveListeners(list); err != nil { // the first once more
				t.Fatal(err)
			}
		})
	}
}

// free tells whether the port can be bound.
func free(proto fwd.Proto, port uint16) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
	if proto == fwd.UDP {
		c, err := net.ListenPacket("udp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

func TestBrokenListenerIsReportedAndClosed(t *testing.T) {
	e := startRun(t)
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pipe[1])
	err := e.AddListeners([]config.Listener{{FD: pipe[0], Rule: fwd.Rule{Proto: fwd.UDP}}})
	if !errors.Is(err, syscall.ENOTSOCK) {
		t.Errorf("error %v, want that it is no socket", err)
	}
	if err := syscall.Close(pipe[0]); !errors.Is(err, syscall.EBADF) {
		t.Errorf("close: %v, want that the descriptor is closed already", err)
	}
}

func TestListenersAfterTheRun(t *testing.T) {
	e, err := New(Options{Config: testConfig(), Device: coretest.NewMemTap(t, coretest.AllFeatures), Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	e.Stop()
	if err := e.Run(); err != nil {
		t.Fatal(err)
	}
	l := bound(t, fwd.TCP)
	done := make(chan error, 1)
	go func() { done <- e.AddListeners([]config.Listener{l}) }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrStopped) {
			t.Errorf("error %v, want %v", err, ErrStopped)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("AddListeners waits for a loop that has ended")
	}
	if err := syscall.Close(l.FD); !errors.Is(err, syscall.EBADF) {
		t.Errorf("close: %v, want that the socket is closed already", err)
	}
	if err := e.RemoveListeners([]config.Listener{l}); !errors.Is(err, ErrStopped) {
		t.Errorf("error %v, want %v", err, ErrStopped)
	}
}

func TestResolversChange(t *testing.T) {
	e := startRun(t)
	v4, v6 := netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")
	if err := e.SetDNSHosts(v4, v6); err != nil {
		t.Fatal(err)
	}
	var got [2]packet.Addr
	if err := e.inLoop(func() { got = [2]packet.Addr{e.nat.V4.DNSHost, e.nat.V6.DNSHost} }); err != nil {
		t.Fatal(err)
	}
	if want := [2]packet.Addr{packet.AddrFrom(v4), packet.AddrFrom(v6)}; got != want {
		t.Errorf("resolvers: got %v, want %v", got, want)
	}
}
