package rootlesskit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rootless-containers/rootlesskit/v3/pkg/port"

	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// pair is both drivers, in this process: the parent's namespace is that of the test,
// the child's is a detached one.
type pair struct {
	t      *testing.T
	parent port.ParentDriver
	ns     *netns.Thread
	// endChild ends the child driver before the test does.
	endChild func()
}

// newPair starts both drivers. The test runs in a namespace of its own, which gets
// the addresses 192.0.2.1 and 2001:db8::1.
func newPair(t *testing.T, transparent bool) *pair {
	t.Helper()
	netnstest.IP(t, "link set lo up\nlink add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\naddr add 192.0.2.1/24 dev v0\n")
	netnstest.IP(t, "addr add 2001:db8::1/64 dev v0 nodad\n", "-6")
	awaitRoute(t, "local 2001:db8::1 ")
	path, thread := namespace(t)
	parent, err := NewParentDriver(t.Output(), t.TempDir(), transparent)
	if err != nil {
		t.Fatal(err)
	}
	ready, quitParent, quitChild := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := &pair{t: t, parent: parent, ns: thread}
	p.endChild = sync.OnceFunc(func() { quitChild <- struct{}{} })
	var ends sync.WaitGroup
	ends.Go(func() {
		if err := parent.RunParentDriver(ready, quitParent, nil); err != nil {
			t.Errorf("parent: %v", err)
		}
	})
	ends.Go(func() {
		if err := NewChildDriver(t.Output()).RunChildDriver(parent.OpaqueForChild(), quitChild, path); err != nil {
			t.Errorf("child: %v", err)
		}
	})
	t.Cleanup(func() {
		quitParent <- struct{}{}
		p.endChild()
		ends.Wait()
	})
	<-ready
	return p
}

// awaitRoute waits for an IPv6 route to an address of ours, which the kernel adds some
// time after the address, from a work queue.
func awaitRoute(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(netnstest.IP(t, "route show table local\n", "-6"), want); {
		if time.Now().After(end) {
			t.Fatalf("no route %q", want)
		}
	}
}

// namespace makes a network namespace with lo up, and gives its path and a thread in
// it.
func namespace(t *testing.T) (path string, thread *netns.Thread) {
	t.Helper()
	runtime.LockOSThread() // a process is killed when the thread ends that has started it (Pdeathsig)
	t.Cleanup(runtime.UnlockOSThread)
	c := exec.Command("sleep", "infinity")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	path = "/proc/" + strconv.Itoa(c.Process.Pid) + "/ns/net"
	thread, err := threadIn(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(thread.Close)
	err = thread.Do(func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() })
	if err != nil {
		t.Fatal(err)
	}
	return path, thread
}

// add publishes a port for the rest of the test.
func (p *pair) add(s port.Spec) int {
	p.t.Helper()
	st, err := p.parent.AddPort(context.Background(), s)
	if err != nil {
		p.t.Fatalf("AddPort(%+v): %v", s, err)
	}
	if st.Spec != s {
		p.t.Errorf("status %+v, want the specification as given, %+v", st, s)
	}
	return st.ID
}

// serveTCP has a service at address in the child say whom it sees, and then repeat
// what it hears.
func (p *pair) serveTCP(address string) {
	p.t.Helper()
	var l net.Listener
	err := p.ns.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				fmt.Fprintln(c, host)
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

// ask sends text to the service behind address and half closes, and gives the answer.
func ask(address, text string) (string, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

func TestTCP(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, true)
		for _, address := range []string{"127.0.0.1:80", "127.0.0.2:82", "[::1]:86"} {
			p.serveTCP(address)
		}
		spec := func(proto, parent string, child int, childIP string) port.Spec {
			return port.Spec{Proto: proto, ParentIP: parent, ParentPort: 8000 + child, ChildPort: child, ChildIP: childIP}
		}
		tests := []struct {
			name string
			spec port.Spec
			want map[string]string // by address that is asked: what the service sees
		}{
			{"any address", spec("tcp", "", 80, ""), map[string]string{
				"127.0.0.1": "127.0.0.1", "192.0.2.1": "192.0.2.1", "[2001:db8::1]": "127.0.0.1", "[::1]": "127.0.0.1",
			}},
			{"IPv4", spec("tcp4", "0.0.0.0", 80, ""), map[string]string{"192.0.2.1": "192.0.2.1", "[::1]": "refused"}},
			{"IPv6", spec("tcp6", "::", 86, ""), map[string]string{"[2001:db8::1]": "2001:db8::1", "127.0.0.1": "refused"}},
			{"one address", spec("tcp", "192.0.2.1", 80, ""), map[string]string{"192.0.2.1": "192.0.2.1", "127.0.0.1": "refused"}},
			{"loopback address", spec("tcp", "127.0.0.2", 82, ""), map[string]string{"127.0.0.2": "127.0.0.1", "127.0.0.1": "refused"}},
			{"IPv6 for an IPv4 service", spec("tcp6", "2001:db8::1", 80, "127.0.0.1"), map[string]string{"[2001:db8::1]": "127.0.0.1"}},
			{"child's address", spec("tcp", "192.0.2.1", 82, "127.0.0.2"), map[string]string{"192.0.2.1": "192.0.2.1"}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				id := p.add(tt.spec)
				for host, want := range tt.want {
					got, err := ask(fmt.Sprintf("%s:%d", host, tt.spec.ParentPort), "question")
					if errors.Is(err, syscall.ECONNREFUSED) {
						got, err = "refused\nquestion", nil
					}
					if err != nil || got != want+"\nquestion" {
						t.Errorf("%s: %q, %v, want %q and the question", host, got, err, want)
					}
				}
				if err := p.parent.RemovePort(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

func TestClientsAreNotShown(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, false)
		p.serveTCP("127.0.0.1:80")
		p.add(port.Spec{Proto: "tcp", ParentPort: 8080, ChildPort: 80})
		if got, err := ask("192.0.2.1:8080", ""); err != nil || got != "127.0.0.1\n" {
			t.Errorf("the service sees %q, %v, want a loopback address", got, err)
		}
	})
}

func TestNobodyListensInTheChild(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, true)
		p.add(port.Spec{Proto: "tcp", ParentPort: 8080, ChildPort: 80})
		for _, host := range []string{"127.0.0.1", "192.0.2.1"} { // at once, also where the client's address is shown
			if got, err := ask(host+":8080", "question"); !isReset(err) {
				t.Errorf("%s: %q, %v, want a reset", host, got, err)
			}
		}
	})
}

func TestChildIsGone(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, false)
		p.add(port.Spec{Proto: "tcp", ParentPort: 8080, ChildPort: 80})
		p.endChild()
		for range 2 {
			if got, err := ask("127.0.0.1:8080", "question"); !isReset(err) {
				t.Errorf("%q, %v, want a reset", got, err)
			}
		}
	})
}

// isReset tells whether err is what a reset connection gives, whenever it comes.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ENOTCONN)
}

func TestLargeTransfer(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, true)
		p.serveTCP("127.0.0.1:80")
		p.add(port.Spec{Proto: "tcp", ParentPort: 8080, ChildPort: 80})
		c, err := net.Dial("tcp", "192.0.2.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		go func() {
			_, _ = c.Write(data)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		_, got, _ = bytes.Cut(got, []byte("\n"))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes come back, %v, want the %d sent", len(got), err, len(data))
		}
	})
}

func TestUDP(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, true)
		var service net.PacketConn
		err := p.ns.Do(func() (err error) {
			service, err = net.ListenPacket("udp", "127.0.0.1:53")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer service.Close()
		go func() {
			b := make([]byte, 1500)
			for {
				n, from, err := service.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = service.WriteTo(append(b[:n], from.String()...), from)
			}
		}()
		p.add(port.Spec{Proto: "udp", ParentPort: 5353, ChildPort: 53})
		for _, host := range []string{"127.0.0.1", "192.0.2.1", "[::1]", "[2001:db8::1]"} {
			c, err := net.Dial("udp", host+":5353")
			if err != nil {
				t.Fatal(err)
			}
			_, own, _ := net.SplitHostPort(c.LocalAddr().String())
			b := make([]byte, 1500)
			if _, err := io.WriteString(c, "from "); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := c.Read(b)
			if want := "from 127.0.0.1:" + own; err != nil || string(b[:n]) != want {
				t.Errorf("%s: answer %q, %v, want %q", host, b[:n], err, want)
			}
			_ = c.Close()
		}
	})
}

func TestPorts(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, false)
		ctx := t.Context()
		spec := port.Spec{Proto: "tcp", ParentIP: "127.0.0.1", ParentPort: 8080, ChildPort: 80}
		ids := map[int]bool{}
		for range 20 { // each time at once, under another ID
			id := p.add(spec)
			if id <= 0 || ids[id] {
				t.Fatalf("ID %d, want a new positive one", id)
			}
			ids[id] = true
			if _, err := p.parent.AddPort(ctx, spec); err == nil || err.Error() != fmt.Sprintf("conflict with ID %d", id) {
				t.Errorf("the same port again: %v, want a conflict with %d", err, id)
			}
			other := spec
			other.ParentIP = ""
			if _, err := p.parent.AddPort(ctx, other); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("the same port of all addresses: %v, want %v", err, syscall.EADDRINUSE)
			}
			if err := p.parent.RemovePort(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		l, err := net.Listen("tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := p.parent.AddPort(ctx, spec); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("port of somebody else: %v, want %v", err, syscall.EADDRINUSE)
		}
		if err := p.parent.RemovePort(ctx, 1); err == nil || err.Error() != "unknown id: 1" {
			t.Errorf("unknown ID: %v", err)
		}
		if list, err := p.parent.ListPorts(ctx); err != nil || len(list) != 0 {
			t.Errorf("ports left: %v, %v", list, err)
		}
	})
}

// TestManyPortsAtOnce is more than pasta has room for, from several goroutines.
func TestManyPortsAtOnce(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPair(t, false)
		const workers, each = 8, 50
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				for i := range each {
					s := port.Spec{Proto: "tcp4", ParentIP: "127.0.0.1", ParentPort: 10000 + w*each + i, ChildPort: 80}
					st, err := p.parent.AddPort(t.Context(), s)
					if err == nil && i%2 == 1 {
						err = p.parent.RemovePort(t.Context(), st.ID)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		if list, err := p.parent.ListPorts(t.Context()); err != nil || len(list) != workers*each/2 {
			t.Errorf("%d ports, %v, want %d", len(list), err, workers*each/2)
		}
	})
}
