package udp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
)

func TestFlowsOutliveTheirListener(t *testing.T) {
	for _, tt := range []struct {
		name, bind, to string
		guest, src     netip.Addr
	}{
		{"IPv4", "127.0.0.1", "127.0.0.1", guest4, gateway4},
		{"IPv4 through dual stack", "::", "127.0.0.6", guest4, gateway4},
		{"IPv6", "::1", "::1", guest6, gateway6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, coretest.AllFeatures)
			to := netip.AddrPortFrom(netip.MustParseAddr(tt.to), e.listen(tt.bind, netip.Addr{}, 53).Port())
			client := hostSocket(t, netip.MustParseAddr(tt.to).String())
			send(t, client, to, []byte("before"))
			port := e.guestGets(1)[0].UDP(t).SrcPort()
			send(t, client, to, []byte("queued"))
			e.h.RemoveListener(e.lastListener, e.Now)
			if got := e.guestGets(1)[0].UDP(t).Payload(); string(got) != "queued" {
				t.Errorf("guest got %q, want what was queued at the removal", got)
			}
			if n := e.h.uses.Len(flow.Unanswered); n != 1 || e.h.Sockets() != 1 {
				t.Errorf("%d unanswered flows of %d with a socket, want the one", n, e.h.Sockets())
			}
			e.guestSends(coretest.UDP(netip.AddrPortFrom(tt.guest, 53), netip.AddrPortFrom(tt.src, port), []byte("answer")))
			if got, from := receive(t, client); string(got) != "answer" || from != to {
				t.Errorf("client got %q from %v, want the answer from %v", got, from, to)
			}
			send(t, client, to, []byte("after"))
			if got := e.guestGets(1)[0].UDP(t).Payload(); string(got) != "after" {
				t.Errorf("guest got %q, want the later datagram", got)
			}
			if n := e.h.uses.Len(flow.Answered); n != 1 || e.h.Sockets() != 1 {
				t.Errorf("%d answered flows of %d with a socket, want the one", n, e.h.Sockets())
			}
		})
	}
}

func TestRemovedListenerRefusesOthers(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	to := e.listen("127.0.0.1", netip.Addr{}, 53)
	send(t, hostSocket(t, "127.0.0.1"), to, []byte("x"))
	e.guestGets(1)
	e.h.RemoveListener(e.lastListener, e.Now)
	other, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 2 { // the first has the error queued, the second gets it
		_, err = other.Write([]byte("x"))
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new client got %v, want connection refused", err)
	}
	if e.h.listeners.Len() != 0 {
		t.Errorf("%d listeners left, want none", e.h.listeners.Len())
	}
}

func TestRemoveListenerWithoutFlows(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	to := e.listen("127.0.0.1", netip.Addr{}, 53)
	e.h.RemoveListener(e.lastListener, e.Now)
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatalf("bind to the removed listener's port: %v", err)
	}
	_ = c.Close()
	e.h.RemoveListener(e.lastListener, e.Now) // nobody's any more: ignored
}

func TestFlowsOfAListenerAreCounted(t *testing.T) {
	e := newEnv(t, coretest.AllFeatures)
	to := e.listen("127.0.0.1", netip.Addr{}, 53)
	for range 3 {
		send(t, hostSocket(t, "127.0.0.1"), to, []byte("x"))
	}
	e.guestGets(3)
	if got := e.h.listeners.Value(0).flows; got != 3 {
		t.Errorf("listener counts %d flows, want 3", got)
	}
	e.h.table.All(e.h.close)
	if got := e.h.listeners.Value(0).flows; got != 0 {
		t.Errorf("listener counts %d flows after their end, want none", got)
	}
}
