package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// fakePorts holds tables without opening anything.
type fakePorts struct {
	o portfwd.Options

	mu         sync.Mutex
	rules      portfwd.Rules
	generation uint64
	warnings   []string
}

func (p *fakePorts) Options() portfwd.Options { return p.o }

func (p *fakePorts) Rules() (portfwd.Rules, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules, p.generation
}

func (p *fakePorts) Replace(generation uint64, rules portfwd.Rules) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if generation != p.generation {
		return nil, portfwd.ErrChanged
	}
	p.rules = rules
	p.generation++
	return p.warnings, nil
}

func pasta() *fakePorts {
	return &fakePorts{o: portfwd.Options{
		V4: true, TCP: true, UDP: true, Ephemeral: portfwd.Range{First: 40000, Last: 50000}, Namespace: func(f func() error) error { return f() },
	}}
}

// serve runs a server until the test ends and gives its socket.
func serve(t *testing.T, ports Ports, home *ctlsock.Home) (path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	path, ended := serveUntil(ctx, t, ports, home)
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return path
}

// serveUntil runs a server until ctx ends, and then closes ended.
func serveUntil(ctx context.Context, t *testing.T, ports Ports, home *ctlsock.Home) (path string, ended <-chan struct{}) {
	t.Helper()
	s, path := newServer(t, ports, home)
	done := make(chan struct{})
	go func() {
		s.Serve(ctx)
		close(done)
	}()
	return path, done
}

func newServer(t *testing.T, ports Ports, home *ctlsock.Home) (s *Server, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "conf")
	f, err := ctlsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = NewServer(f, ports, home, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return s, path
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// list asks for the tables again.
func list(c *Client) (config Config, err error) {
	err = c.call(kindList, struct{}{}, kindConfig, &config)
	return config, err
}

func someRules() portfwd.Rules {
	return portfwd.Rules{
		fwd.Host: {
			{Proto: fwd.TCP, Listen: netip.MustParseAddr("10.0.0.1"), IfName: "eth0", First: 80, Last: 89, Target: 8080},
			{Proto: fwd.UDP, First: 53, Last: 53, Target: 53, Auto: true},
		},
		fwd.Splice: {{Proto: fwd.TCP, IfName: "lo", First: 1, Last: 99, Target: 1, BestEffort: true, Auto: true}},
	}
}

func TestRulesSurviveTheWire(t *testing.T) {
	ports := pasta()
	c := dial(t, serve(t, ports, nil))
	want := someRules()
	result, err := c.Replace(NewConfig(want, 0, true))
	if err != nil || result.Generation != 1 {
		t.Fatalf("Replace = %+v, %v, want generation 1", result, err)
	}
	config, err := list(c)
	if err != nil || config.Generation != 1 {
		t.Fatalf("Config: generation %d, %v, want 1", config.Generation, err)
	}
	got, err := config.Rules()
	if err != nil {
		t.Fatal(err)
	}
	equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestHelloTellsCapabilities(t *testing.T) {
	c := dial(t, serve(t, pasta(), nil))
	want := Hello{IPv4: true, TCP: true, UDP: true, Scan: true, Splice: true, EphemeralFirst: 40000, EphemeralLast: 50000}
	if c.Hello != want {
		t.Errorf("hello %+v, want %+v", c.Hello, want)
	}
	vm := pasta()
	vm.o.Namespace = nil
	c = dial(t, serve(t, vm, nil))
	if c.Hello.Scan || c.Hello.Splice || len(c.Config.Tables) != 1 {
		t.Errorf("without namespace: hello %+v, tables %+v, want only HOST", c.Hello, c.Config.Tables)
	}
}

func TestConcurrentChangeIsRefused(t *testing.T) {
	path := serve(t, pasta(), nil)
	c := dial(t, path)
	if _, err := c.Replace(NewConfig(someRules(), 0, true)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Replace(NewConfig(portfwd.Rules{}, 0, true))
	var refused *Failure
	if !errors.As(err, &refused) || refused.Message != portfwd.ErrChanged.Error() {
		t.Errorf("second change from the same state: %v, want %v", err, portfwd.ErrChanged)
	}
}

func TestWarningsReachTheClient(t *testing.T) {
	ports := pasta()
	ports.warnings = []string{"Listen failed"}
	c := dial(t, serve(t, ports, nil))
	result, err := c.Replace(NewConfig(someRules(), 0, true))
	if err != nil || len(result.Warnings) != 1 || result.Warnings[0] != "Listen failed" {
		t.Errorf("Replace = %+v, %v, want one warning", result, err)
	}
}

func TestBadRequests(t *testing.T) {
	c := dial(t, serve(t, pasta(), nil))
	tests := []struct {
		name    string
		k       kind
		payload any
		want    string
	}{
		{"unknown type", 99, struct{}{}, "Unknown request 99"},
		{"no configuration", kindReplace, []int{1}, "Malformed request"},
		{"unknown table", kindReplace, Config{Tables: []Table{{Pif: "TAP"}}}, `unknown table "TAP"`},
		{"unknown protocol", kindReplace, Config{Tables: []Table{{Pif: "HOST", Rules: []Rule{{Proto: "SCTP"}}}}}, `unknown protocol "SCTP"`},
	}
	for _, tt := range tests { // on one connection: failures do not end it
		t.Run(tt.name, func(t *testing.T) {
			err := c.call(tt.k, tt.payload, kindResult, new(Result))
			var refused *Failure
			if !errors.As(err, &refused) || refused.Message != tt.want {
				t.Errorf("answer %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMisbehavingClientIsDropped(t *testing.T) {
	path := serve(t, pasta(), nil)
	for _, b := range []string{"\xff\xff\xff\xff\x00\x02\x00\x01", "\x00\x00\x00\x00\x00\x02\x00\x09", "GET / HTTP/1.1\r\n\r\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after %q: %v, want the end of the connection", b, err)
		}
		_ = conn.Close()
	}
	dial(t, path) // and the next one is served
}

func TestOtherNamespacesAreRefused(t *testing.T) {
	here, errno := sys.OwnNetnsCookie()
	if errno != 0 {
		netnstest.Lacks(t, "this kernel does not tell namespaces: %v", errno)
	}
	if c, err := Dial(serve(t, pasta(), ctlsock.HomeOf(here+1))); err == nil {
		_ = c.Close()
		t.Error("a client in another namespace is served")
	}
}

// FuzzReadMessage checks that no input is read beyond its bounds or panics, and
// that what is read can be sent again.
func FuzzReadMessage(f *testing.F) {
	var seed bytes.Buffer
	if err := writeMessage(&seed, kindReplace, NewConfig(someRules(), 7, true)); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Add([]byte("\x00\x00\x00\x02\x00\x02\x00\x01{}"))
	f.Add([]byte(strings.Repeat("\xff", 16)))
	s := &Server{ports: pasta(), log: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, payload, err := readMessage(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(payload) > maxPayload || headerLen+len(payload) > len(b) {
			t.Errorf("payload of %d bytes in a message of %d", len(payload), len(b))
		}
		answer, v := s.answer(k, payload)
		if err := writeMessage(io.Discard, answer, v); err != nil {
			t.Errorf("answer %d: %v", answer, err)
		}
	})
}
