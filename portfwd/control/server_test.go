package control

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// TestSilentClientsHoldNobodyUp: all but one place are taken by clients that say
// nothing, or only half of a message, and another one is served before their time
// is over.
func TestSilentClientsHoldNobodyUp(t *testing.T) {
	path := serve(t, pasta(), nil)
	for i := range ctlsock.MaxClients - 1 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			if _, err := conn.Write(make([]byte, headerLen/2)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := readMessage(conn); err != nil { // it is being served
			t.Fatal(err)
		}
	}
	c := dial(t, path)
	if _, err := c.Replace(NewConfig(someRules(), 0, true)); err != nil {
		t.Errorf("change beside %d silent clients: %v", ctlsock.MaxClients-1, err)
	}
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
		if _, err := c.Config(); err != nil {
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
		config, err := c.Config()
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
	if _, err := c.Config(); err == nil {
		t.Error("a client is served after the end")
	}
}
