package portfwd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// here runs a function in the namespace of the test, as netns.Thread.Do does in
// another one.
func here(f func() error) error { return f() }

// startRun starts an engine with a manager, as the daemon does, that bypasses the
// tap. Rules lead to the namespace of the thread ns.
func startRun(t *testing.T, ns *netns.Thread) *Manager {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	m, err := NewManager(Options{V4: true, V6: true, TCP: true, UDP: true, Namespace: ns.Do, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{MTU: 1500, TCP: true, UDP: true, Bypass: fwd.Bypass{Inbound: true, SameLoopback: true}}
	cfg.V4.Enabled, cfg.V6.Enabled = true, true
	sockets := netns.NewSockets(ns)
	e, err := engine.New(engine.Options{
		Config: cfg, Device: coretest.NewMemTap(t, coretest.AllFeatures), Sockets: sockets, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { sockets.Run(stop) })
	running.Go(func() { m.Run(ctx, e) })
	running.Go(func() {
		if err := e.Run(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		close(stop)
		e.Stop()
		e.Stop() // at once
		running.Wait()
		e.Close()
	})
	return m
}

// echoServer answers on the TCP or UDP address of a namespace.
func echoServer(t *testing.T, in func(func() error) error, network, address string) {
	t.Helper()
	if network == "udp" {
		var c net.PacketConn
		inside(t, in, func() (err error) {
			c, err = net.ListenPacket(network, address)
			return err
		})
		t.Cleanup(func() { _ = c.Close() })
		go echoDatagrams(c)
		return
	}
	var l net.Listener
	inside(t, in, func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
}

func echoDatagrams(c net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n], from)
	}
}

// inside runs f in a namespace.
func inside(t *testing.T, in func(func() error) error, f func() error) {
	t.Helper()
	if err := in(f); err != nil {
		t.Fatal(err)
	}
}

// dialMany makes n connections from a namespace.
func dialMany(t *testing.T, in func(func() error) error, n int, network, address string) (conns []net.Conn) {
	t.Helper()
	for range n {
		inside(t, in, func() error {
			c, err := net.Dial(network, address)
			if err == nil {
				conns = append(conns, c)
				t.Cleanup(func() { _ = c.Close() })
			}
			return err
		})
	}
	return conns
}

// echo sends a message on each connection and wants it back.
func echo(t *testing.T, conns []net.Conn) {
	t.Helper()
	for i, c := range conns {
		if err := echoOn(c); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
}

func echoOn(c net.Conn) error {
	b := []byte("message")
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b)
	return err
}

// forward sets the first rules of a run, once that has begun.
func forward(t *testing.T, m *Manager, specs ...string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		_, generation := m.Rules()
		warnings, err := m.Replace(generation, specRules(t, specs...))
		if err == nil && len(warnings) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("replace: %q, %v", warnings, err)
		}
	}
}

// TestChangesUnderTrafficAreFast makes random changes in a real run with many
// connections: none breaks, though their forward goes, and each change is fast.
func TestChangesUnderTrafficAreFast(t *testing.T) {
	const flows = 1000
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		ns := newNamespace(t)
		m := startRun(t, ns)
		echoServer(t, ns.Do, "tcp", "127.0.0.1:7000")
		forward(t, m, "-t", "8080:7000")
		conns := dialMany(t, here, flows, "tcp", "127.0.0.1:8080")
		echo(t, conns)
		forward(t, m)
		var took []time.Duration
		last := time.Now()
		randomChanges(t, m, 10000, func(op int, _ model) {
			took = append(took, time.Since(last))
			if op%500 == 0 {
				echo(t, conns)
			}
			last = time.Now()
		})
		echo(t, conns)
		slices.Sort(took)
		median := took[len(took)/2]
		if limit := 5 * time.Millisecond; median > limit {
			t.Errorf("the median change takes %v with %d flows, want at most %v", median, flows, limit)
		}
		t.Logf("a change takes %v with %d flows, at most %v", median, flows, took[len(took)-1])
	})
}

// TestNothingBreaksUnderChanges makes random changes while TCP and UDP flows of both
// directions, whose forwards are gone, carry data all the time: each goes on, and
// tables and open ports are those of a model.
func TestNothingBreaksUnderChanges(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		ns := newNamespace(t)
		m := startRun(t, ns)
		scanner, err := NewScanner()
		if err != nil {
			t.Fatal(err)
		}
		defer scanner.Close()
		conns := bothWays(t, m, ns)
		forward(t, m)
		stop := make(chan struct{})
		var talking sync.WaitGroup
		for some := range slices.Chunk(conns, 20) {
			talking.Go(func() { talk(t, some, stop) })
		}
		randomChanges(t, m, 10000, func(op int, want model) {
			if op%500 == 499 {
				checkModel(t, m, scanner, want)
			}
		})
		close(stop)
		talking.Wait()
	})
}

// TestManyFlowsOutliveTheirForward: also more UDP flows from the namespace than there
// are sockets in stock, but these may be refused at first.
func TestManyFlowsOutliveTheirForward(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		ns := newNamespace(t)
		m := startRun(t, ns)
		forward(t, m, "-U", "9090:7001")
		echoServer(t, here, "udp", "127.0.0.1:7001")
		conns := dialMany(t, ns.Do, 300, "udp", "127.0.0.1:9090")
		echo(t, conns)
		forward(t, m)
		for i, c := range conns {
			err := echoOn(c)
			for end := time.Now().Add(time.Minute); errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(end); {
				err = echoOn(c)
			}
			if err != nil {
				t.Fatalf("flow %d: %v", i, err)
			}
		}
	})
}

// bothWays makes connections from each of the two namespaces to the other, through
// forwards.
func bothWays(t *testing.T, m *Manager, ns *netns.Thread) (conns []net.Conn) {
	t.Helper()
	forward(t, m, "-t", "8080:7000", "-u", "8080:7000", "-T", "9090:7001", "-U", "9090:7001")
	for _, network := range []string{"tcp", "udp"} {
		echoServer(t, ns.Do, network, "127.0.0.1:7000")
		echoServer(t, here, network, "127.0.0.1:7001")
		conns = append(conns, dialMany(t, here, 20, network, "127.0.0.1:8080")...)
		conns = append(conns, dialMany(t, ns.Do, 20, network, "127.0.0.1:9090")...)
	}
	echo(t, conns)
	return conns
}

// talk has messages go to and fro on one of conns after the other until stop.
func talk(t *testing.T, conns []net.Conn, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		c := conns[n%len(conns)]
		if err := echoOn(c); err != nil {
			t.Errorf("message %d on a %s connection: %v", n, c.LocalAddr().Network(), err)
			return
		}
	}
}

// checkModel compares the tables, and the ports that s sees open on the host, with want.
func checkModel(t *testing.T, m *Manager, s *Scanner, want model) {
	t.Helper()
	rules, _ := m.Rules()
	got := model{}
	for pif, table := range rules {
		for _, r := range table {
			got.set(fwd.Pif(pif), r)
		}
	}
	if diff := cmp.Diff(want.ports(), got.ports()); diff != "" {
		t.Fatalf("tables (-want +got):\n%s", diff)
	}
	var open, wanted Listening
	if err := s.Scan(&open, nil); err != nil {
		t.Fatal(err)
	}
	for p := range want {
		switch {
		case p.pif != fwd.Host:
		case p.proto == fwd.TCP:
			wanted.TCP.Add(p.port)
		default:
			wanted.UDP.Add(p.port)
		}
	}
	wanted.TCP.Add(7001) // the server
	wanted.UDP.Add(7001)
	if open != wanted {
		t.Fatal("the open ports of the host are not those of the table")
	}
}
