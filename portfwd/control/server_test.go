package control

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// request is that for the tables.
const request = "\x00\x00\x00\x02\x00\x02\x00\x01{}"

// TestClientsThatHoldNobodyUp: more of them than are served do not delay the next one
// until their time is over, and not one that is in the middle of its conversation.
func TestClientsThatHoldNobodyUp(t *testing.T) {
	for _, tt := range []struct{ name, words string }{
		{"say nothing", ""}, {"send half a message", request[:5]}, {"send no payload", request[:headerLen]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := serve(t, pasta(), nil)
			early := dial(t, path)
			for range 100 {
				conn, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, tt.words); err != nil && !errors.Is(err, syscall.EPIPE) {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			late := dial(t, path)
			// Who waits for each to use up its time is served after three times that.
			if d := time.Since(begin); d > requestTimeout {
				t.Errorf("served after %v", d)
			}
			for i, c := range []*Client{early, late} {
				if _, err := c.Replace(NewConfig(someRules(), uint64(i), true)); err != nil {
					t.Errorf("change %d: %v", i, err)
				}
			}
		})
	}
}

// TestClientThatDoesNotRead gives way to others that come.
func TestClientThatDoesNotRead(t *testing.T) {
	ports := pasta()
	ports.rules[fwd.Host] = []fwd.Rule{{IfName: strings.Repeat("x", 1<<16)}} // a few answers are more than fits
	s, path := newServer(t, ports, nil)
	s.listener.Waiting = ctlsock.NewWaiting(1)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { s.Serve(ctx) })
	defer group.Wait()
	defer cancel()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	for _, err = io.WriteString(conn, strings.Repeat(request, 9)); err == nil; _, err = io.WriteString(conn, request) {
		dial(t, path)
	}
	if d := time.Since(begin); !errors.Is(err, syscall.EPIPE) || d > requestTimeout/2 {
		t.Errorf("ends after %v, %v, want %v", d, err, syscall.EPIPE)
	}
}

// TestHundredClientsAtOnce: none of them is taken for a silent one.
func TestHundredClientsAtOnce(t *testing.T) {
	path := serve(t, pasta(), nil)
	var group sync.WaitGroup
	for n := range 100 {
		group.Go(func() {
			c, err := Dial(path)
			if err != nil {
				t.Errorf("client %d: %v", n, err)
				return
			}
			_ = c.Close()
		})
	}
	group.Wait()
}

// TestMoreClientsWait: the one for whom there is no place is served when another
// leaves, and not before.
func TestMoreClientsWait(t *testing.T) {
	path := serve(t, pasta(), nil)
	var served []*Client
	for range ctlsock.MaxClients {
		served = append(served, dial(t, path))
	}
	ready := make(chan error, 1)
	go func() {
		c, err := Dial(path)
		if err == nil {
			err = c.Close()
		}
		ready <- err
	}()
	// Whoever is served has been so for a while when the others are asked.
	for i, c := range served {
		if _, err := list(c); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	select {
	case err := <-ready:
		t.Fatalf("%d clients are served at a time (%v), want %d", ctlsock.MaxClients+1, err, ctlsock.MaxClients)
	default:
	}
	if err := served[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ready; err != nil {
		t.Errorf("the client that waited: %v", err)
	}
}

// TestConcurrentClientsLoseNoChange: each of several clients adds its rules to what
// it finds, and tries again when another was faster.
func TestConcurrentClientsLoseNoChange(t *testing.T) {
	const clients, each = 8, 20
	ports := pasta()
	path := serve(t, ports, nil)
	var group sync.WaitGroup
	for n := range clients {
		c := dial(t, path)
		group.Go(func() {
			for i := range each {
				if err := addRule(c, uint16(1000+n*each+i)); err != nil {
					t.Errorf("client %d: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	rules, generation := ports.Rules()
	if len(rules[fwd.Host]) != clients*each || generation != clients*each {
		t.Errorf("%d rules in generation %d, want %d of each", len(rules[fwd.Host]), generation, clients*each)
	}
}

// addRule adds a rule for one port to the table of the host.
func addRule(c *Client, port uint16) error {
	for {
		config, err := list(c)
		if err != nil {
			return err
		}
		config.Tables[0].Rules = append(config.Tables[0].Rules, Rule{Proto: "TCP", First: port, Last: port, TargetFirst: port})
		_, err = c.Replace(config)
		var refused *Failure
		if errors.As(err, &refused) && refused.Message == portfwd.ErrChanged.Error() {
			continue
		}
		return err
	}
}

// TestEndOfARunEndsClients: Serve returns though a client is still connected.
func TestEndOfARunEndsClients(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	path, ended := serveUntil(ctx, t, pasta(), nil)
	c := dial(t, path)
	cancel()
	<-ended
	if _, err := list(c); err == nil {
		t.Error("a client is served after the end")
	}
}
