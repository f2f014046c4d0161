package vpnkit

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// testServer serves clients at path, with data paths as the program's, until the end
// of the test.
type testServer struct {
	*server
	t    *testing.T
	path string
}

func startServer(t *testing.T, change func(*settings)) *testServer {
	t.Helper()
	s := &testServer{t: t, path: filepath.Join(t.TempDir(), "sock")}
	settings := newSettings()
	settings.names.hostsFile = ""
	if change != nil {
		change(settings)
	}
	l, err := listen(s.path, settings.backlog)
	if err != nil {
		t.Fatal(err)
	}
	s.server = newServer(settings, s.run, slog.New(slog.DiscardHandler))
	s.resolver.set(resolv.Conf{Servers: []netip.Addr{addr("127.0.0.1")}})
	ended := make(chan error)
	go func() { ended <- s.serve(l) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server ends with %v", err)
		}
		for range cap(s.links) { // until those are gone that the test has closed
			s.links <- struct{}{}
		}
	})
	return s
}

// run is a service.Attach.
func (s *testServer) run(g *service.Guest) error {
	e, err := engine.New(engine.Options{Config: &g.Config, Device: g.Link.Device, Stations: g.Stations, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer e.Close()
	g.Started(e)
	return e.Run()
}

// dial connects without saying anything.
func (s *testServer) dial() net.Conn {
	s.t.Helper()
	end := time.Now().Add(coretest.Patience)
	c, err := net.Dial("unix", s.path)
	for errors.Is(err, syscall.EAGAIN) && time.Now().Before(end) { // the queue is full
		time.Sleep(time.Millisecond)
		c, err = net.Dial("unix", s.path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(coretest.Patience)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// ask says words and gives what comes back until the end, or until enough.
func (s *testServer) ask(words string, enough int) (net.Conn, []byte) {
	s.t.Helper()
	c := s.dial()
	if _, err := io.WriteString(c, words); err != nil {
		s.t.Fatal(err)
	}
	b, err := io.ReadAll(io.LimitReader(c, int64(enough)))
	if err != nil {
		s.t.Fatal(err)
	}
	return c, b
}

// vif connects a guest and gives the connection, with its response.
func (s *testServer) vif(name byte) (net.Conn, []byte) {
	s.t.Helper()
	hex := "0123456789abcdef"
	c, b := s.ask(hello+"\x01"+uuidText[:34]+hex[name>>4:][:1]+hex[name&15:][:1]+"\x00\x00\x00\x00", initLen+responseLen)
	if len(b) != initLen+responseLen {
		s.t.Fatalf("guest %d: %d bytes", name, len(b))
	}
	return c, b[initLen:]
}

var hello = string(initMessage())

func TestHandshake(t *testing.T) {
	zeros := strings.Repeat("\x00", 40)
	refused := func(reason string) string { return hello + string(disconnectResponse(reason)) }
	for _, tt := range []struct{ name, words, want string }{
		{"another version", strings.Replace(hello, "\x16", "\x17", 1), hello},
		{"another magic", strings.Replace(hello, "VMN3T", "xxxxx", 1) + "\x02" + zeros, hello},
		{"unknown command", hello + "\x02" + zeros, hello},
		{"bad UUID", hello + "\x01" + strings.Repeat("x", 40), hello},
		{"bind", hello + "\x06", refused("Unsupported command Bind_ipv4")},
		{
			"out of range", hello + "\x08" + uuidText + "\x01\x00\x00\x0a",
			refused("Preferred IP address out of range."),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, nil)
			if _, got := s.ask(tt.words, 1000); string(got) != tt.want {
				t.Errorf("got % x", got)
			}
		})
	}
}

// TestClientThatGoes within the handshake leaves nothing behind.
func TestClientThatGoes(t *testing.T) {
	s := startServer(t, nil)
	for _, words := range []string{"", "VMN3T", hello, hello + "\x01", hello + "\x01" + uuidText} {
		c := s.dial()
		if _, err := io.WriteString(c, words); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if _, b := s.vif(1); b[0] != responseVif {
		t.Errorf("response % x", b[:12])
	}
}

// TestTooManyLinks: the one too many is told so, and there is room when others go.
func TestTooManyLinks(t *testing.T) {
	s := startServer(t, nil)
	for range cap(s.links) - 1 {
		s.links <- struct{}{}
		defer func() { <-s.links }()
	}
	last, b := s.vif(1)
	if b[0] != responseVif {
		t.Fatalf("response % x", b[:12])
	}
	_, b = s.vif(2)
	if want := disconnectResponse("Too many connections: 64 are served at a time."); !bytes.Equal(b, want) {
		t.Errorf("response %q", b)
	}
	last.Close()
	for b[0] != responseVif {
		_, b = s.vif(2)
	}
}

// TestSilentClients: more than places do not delay one that speaks, whether they say
// nothing or some.
func TestSilentClients(t *testing.T) {
	for _, tt := range []struct{ name, words string }{
		{"nothing", ""}, {"half a version", hello[:20]}, {"a version", hello}, {"half a command", hello + "\x01" + uuidText[:9]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, nil)
			var silent []net.Conn
			for range 100 {
				c := s.dial()
				if _, err := io.WriteString(c, tt.words); err != nil && !errors.Is(err, syscall.EPIPE) {
					t.Fatal(err)
				}
				silent = append(silent, c)
			}
			begin := time.Now()
			c, b := s.vif(1)
			if d := time.Since(begin); b[0] != responseVif || d > time.Second {
				t.Errorf("response % x after %v", b[:12], d)
			}
			guestPings(t, c, 1)
			// Those that came last are still heard.
			if tt.words != "" {
				return
			}
			last := silent[len(silent)-1]
			if _, err := io.WriteString(last, hello); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(last, make([]byte, initLen)); err != nil {
				t.Errorf("the last one to come: %v", err)
			}
		})
	}
}

// TestConnectionEnds: garbage and the end of the stream end one connection, not others.
func TestConnectionEnds(t *testing.T) {
	s := startServer(t, nil)
	stays, _ := s.vif(1)
	garbage, _ := s.vif(2)
	goes, _ := s.vif(3)
	if _, err := garbage.Write([]byte{1, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := garbage.Read(make([]byte, 1)); err == nil {
		t.Error("garbage does not end the connection")
	}
	goes.Close()
	guestPings(t, stays, 1)
}

func TestAcceptErrors(t *testing.T) {
	for err, want := range map[error]bool{
		&net.OpError{Err: os.NewSyscallError("accept4", syscall.EMFILE)}: true,
		&net.OpError{Err: net.ErrClosed}:                                 false,
		nil:                                                              false,
	} {
		if got := passes(err); got != want {
			t.Errorf("passes(%v) = %v, want %v", err, got, want)
		}
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sock")
	l, err := listen(path, 5)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the path goes with the listener: %v", err)
	}
	if l, err = listen(path, 5); err != nil { // in place of the one that is left over
		t.Fatal(err)
	}
	defer l.Close()
	for _, bad := range []string{path, dir, filepath.Join(dir, "no", "such"), "fd:x", "fd:-1", "fd:9999"} {
		if l, err := listen(bad, 5); err == nil {
			l.Close()
			t.Errorf("listens on %s", bad)
		}
	}
}

// TestListenInherited: a socket that is bound, but does not listen yet.
func TestListenInherited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	l, err := listen("fd:"+itoa(fd), 5)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
