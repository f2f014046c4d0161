package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startServer serves on a loopback port and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	u, l := listenBoth(t)
	t.Cleanup(func() { u.Close(); l.Close() })
	s := &server{results: make(map[string]chan string)}
	go s.accept(l)
	go serveUDP(u)
	return u.LocalAddr().String()
}

// listenBoth listens on one port for both protocols. The kernel picks a port that is free for UDP only, so another is
// tried as long as some other program's connection holds the same TCP port.
func listenBoth(t *testing.T) (*net.UDPConn, net.Listener) {
	t.Helper()
	var err error
	for range 100 {
		u, uerr := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if uerr != nil {
			t.Fatal(uerr)
		}
		var l net.Listener
		if l, err = net.Listen("tcp", u.LocalAddr().String()); err == nil {
			return u, l
		}
		u.Close()
	}
	t.Fatalf("no port is free for UDP and TCP: %v", err)
	return nil, nil
}

func TestClientsAgainstServer(t *testing.T) {
	addr := startServer(t)
	for _, tc := range []struct {
		name string
		run  func([]string) error
		args []string
	}{
		{"upload one byte", runUp, []string{"-size", "1"}},
		{"upload many", runUp, []string{"-size", "1000003"}},
		{"upload to a stalled reader", runUp, []string{"-stall", "10ms", "-size", "100000"}},
		{"upload in single bytes", runUp, []string{"-interval", "1us", "-size", "5"}},
		{"download nothing", runDown, []string{"-size", "0"}},
		{"download many", runDown, []string{"-size", "1000003"}},
		{"download in single bytes", runDown, []string{"-interval", "1us", "-size", "5"}},
		{"half-close", runHalfClose, []string{"-size", "70000"}},
		{"reset", runReset, nil},
		{"peer over TCP", runPeer, nil},
		{"peer over UDP", runPeer, []string{"-udp"}},
		{"connect", runConnect, nil},
		{"requests", runRR, []string{"-for", "10ms"}},
		{"requests by the net package", runRR, []string{"-for", "10ms", "-go"}},
		{"connections", runCRR, []string{"-for", "10ms"}},
		{"echo datagrams", runUDPEcho, []string{"-count", "100", "-size", "1200"}},
		{"echo one byte", runUDPEcho, []string{"-count", "3", "-size", "1"}},
		{"large datagram", runUDPReply, []string{"-size", "65507"}},
		{"flood", runUDPFlood, []string{"-for", "10ms"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.run(append(tc.args, addr)); err != nil {
				t.Errorf("got error %v, want none", err)
			}
		})
	}
}

func TestLeanClientsAgainstLeanServer(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := listenLean("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.add(listener, syscall.EPOLLIN); err != nil {
		t.Fatal(err)
	}
	go func() { _ = serveLean(p, map[int32]bool{int32(listener): true}) }() // for the rest of the test run
	sa, err := syscall.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*syscall.SockaddrInet4).Port)).String()
	for _, tc := range []struct {
		name string
		run  func([]string) error
		args []string
	}{
		{"requests", runRR, []string{"-for", "10ms"}},
		{"requests of several clients", runRR, []string{"-for", "10ms", "-clients", "3"}},
		{"requests by the net package", runRR, []string{"-for", "10ms", "-go"}},
		{"connections", runCRR, []string{"-for", "10ms"}},
		{"connections of several clients", runCRR, []string{"-for", "10ms", "-clients", "3"}},
		{"open connections", runOpen, []string{"-count", "100", "-at-once", "7"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.run(append(tc.args, addr)); err != nil {
				t.Errorf("got error %v, want none", err)
			}
		})
	}
}

// fickle serves all connections but every third, and ends every fourth when waiting ends.
func fickle(t *testing.T) (addr string, wait io.Reader) {
	t.Helper()
	u, l := listenBoth(t)
	u.Close()
	t.Cleanup(func() { l.Close() })
	s := &server{results: make(map[string]chan string)}
	var leave []net.Conn
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for i := range 12 {
			c, err := l.Accept()
			switch {
			case err != nil:
				t.Error(err)
				return
			case i%3 == 0:
				c.Close()
				continue
			case i%4 == 1:
				leave = append(leave, c)
			}
			go s.serve(c.(*net.TCPConn))
		}
	}()
	return l.Addr().String(), readerFunc(func([]byte) (int, error) {
		<-accepted
		for _, c := range leave {
			c.Close()
		}
		return 0, io.EOF
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestHold(t *testing.T) {
	addr, in := startServer(t), strings.NewReader("")
	for _, some := range []bool{false, true} {
		var out strings.Builder
		if err := hold(addr, 12, some, in, &out); err != nil {
			t.Error(err)
		}
		checkHeld(t, out.String(), 12, 12)
	}
}

// TestHoldSome counts those only that are held, and that answer.
func TestHoldSome(t *testing.T) {
	addr, in := fickle(t)
	var out strings.Builder
	if err := hold(addr, 12, true, in, &out); err != nil {
		t.Error(err)
	}
	checkHeld(t, out.String(), 8, 6) // of 1, 2, 4, 5, 7, 8, 10, 11, not 1 and 5
	addr, in = fickle(t)
	out.Reset()
	if err := hold(addr, 12, false, in, &out); err == nil || out.Len() > 0 {
		t.Errorf("without -some: %q, %v, want an error", &out, err)
	}
}

func checkHeld(t *testing.T, out string, held, answered int) {
	t.Helper()
	var h, a int
	var took float64
	if _, err := fmt.Sscanf(out, "held %d after %g s\nanswered %d\n", &h, &took, &a); err != nil || h != held || a != answered {
		t.Errorf("prints %q (%v), want %d held and %d answered", out, err, held, answered)
	}
}

func TestLeanServerWantsWholeRequests(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	for _, tc := range []struct {
		request, answer string
		goesOn          bool
	}{
		{"once\n?", "?", false},
		{"echo\n12345678", "12345678", true},
		{"87654321", "87654321", true},
	} {
		if _, err := syscall.Write(fds[0], []byte(tc.request)); err != nil {
			t.Fatal(err)
		}
		goesOn := answerLean(fds[1])
		var b [leanMax]byte
		n, err := syscall.Read(fds[0], b[:])
		if err != nil || string(b[:n]) != tc.answer || goesOn != tc.goesOn {
			t.Errorf("%q: answer %q, %v, goes on %v; want %q, %v", tc.request, b[:max(n, 0)], err, goesOn, tc.answer, tc.goesOn)
		}
	}
	if !answerLean(fds[1]) {
		t.Error("a connection without a request yet has ended")
	}
}

func TestReceiveDetectsChangedStream(t *testing.T) {
	var sent bytes.Buffer
	want, err := send(&sent, 200000, 0)
	if err != nil {
		t.Fatal(err)
	}
	swapped := bytes.Clone(sent.Bytes())
	copy(swapped, sent.Bytes()[blockLen:2*blockLen])
	for _, tc := range []struct {
		name string
		data []byte
		same bool
	}{
		{"unchanged", sent.Bytes(), true},
		{"short", sent.Bytes()[:199999], false},
		{"block repeated", swapped, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, got, err := receive(bytes.NewReader(tc.data), -1)
			if err != nil || (got == want) != tc.same {
				t.Errorf("got digest %v, error %v, want equal to %v: %v", got, err, want, tc.same)
			}
		})
	}
}

func TestCheckEchoRefusesWrongDatagrams(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    []byte
		seen bool
		ok   bool
	}{
		{"good", echoDatagram(7, 20), false, true},
		{"repeated", echoDatagram(7, 20), true, false},
		{"short", []byte{datagramEcho}, false, false},
		{"other size", echoDatagram(7, 21), false, false},
		{"other window", echoDatagram(9, 20), false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := checkEcho(tc.b, 7, 20, []bool{tc.seen})
			if (err == nil) != tc.ok {
				t.Errorf("got error %v, want success %v", err, tc.ok)
			}
		})
	}
}

func TestErrnoNames(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"success", nil, "ok"},
		{"wrapped errno", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "ECONNREFUSED"},
		{"other", errors.New("x"), "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := errnoName(tc.err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseStats(t *testing.T) {
	n, d, err := parseStats("12 3000")
	if n != 12 || d != 3*time.Microsecond || err != nil {
		t.Errorf("got %d, %v, %v, want 12, 3µs, no error", n, d, err)
	}
	if _, _, err := parseStats("12"); err == nil {
		t.Error("got no error for a missing time")
	}
}

func TestDNSAnswer(t *testing.T) {
	question := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")
	for _, tc := range []struct {
		name  string
		query []byte
		ip    string
		want  []byte
	}{
		{"address", question, "192.0.2.1", []byte("\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01" +
			"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01")},
		{
			"other family", question, "fd77::1",
			[]byte("\x12\x34\x85\x80\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"),
		},
		{"truncated", question[:15], "192.0.2.1", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := dnsAnswer(tc.query, netip.MustParseAddr(tc.ip)); !bytes.Equal(got, tc.want) {
				t.Errorf("got %x, want %x", got, tc.want)
			}
		})
	}
}

func TestEchoID(t *testing.T) {
	header := make([]byte, 20)
	header[0], header[9] = 0x45, syscall.IPPROTO_ICMP
	for _, tc := range []struct {
		name   string
		packet []byte
		want   uint16
		ok     bool
	}{
		{"request", append(bytes.Clone(header), 8, 0, 0, 0, 0x10, 0x92, 0, 1), 4242, true},
		{"reply", append(bytes.Clone(header), 0, 0, 0, 0, 0x10, 0x92, 0, 1), 0, false},
		{"truncated", append(bytes.Clone(header), 8, 0, 0, 0), 0, false},
		{"empty", nil, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := echoID(tc.packet); got != tc.want || ok != tc.ok {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}
