package portfwd

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

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

// echoServer answers on a port of the namespace.
func echoServer(t *testing.T, ns *netns.Thread, address string) {
	t.Helper()
	var l net.Listener
	if err := ns.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
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

// echo sends a message on each connection and wants it back.
func echo(t *testing.T, conns []net.Conn) {
	t.Helper()
	for i, c := range conns {
		b := []byte("message")
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(b); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
}

// TestRandomChangesUnderTraffic makes random changes in a real run with many
// connections: none breaks, though their forward goes, and each change is fast.
func TestRandomChangesUnderTraffic(t *testing.T) {
	const flows = 1000
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		ns := newNamespace(t)
		m := startRun(t, ns)
		echoServer(t, ns, "127.0.0.1:7000")
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			warnings, err := m.Replace(0, specRules(t, "-t", "8080:7000"))
			if err == nil && len(warnings) == 0 {
				break
			}
			if time.Now().After(end) { // the run has not begun by then
				t.Fatalf("replace: %q, %v", warnings, err)
			}
		}
		var conns []net.Conn
		for range flows {
			c, err := net.Dial("tcp", "127.0.0.1:8080")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			conns = append(conns, c)
		}
		echo(t, conns)
		_, generation := m.Rules()
		if _, err := m.Replace(generation, Rules{}); err != nil {
			t.Fatal(err)
		}
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
