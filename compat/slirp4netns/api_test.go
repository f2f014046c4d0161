package slirp4netns

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// engine takes every listener and keeps it open.
type engine struct{}

func (engine) AddListeners([]config.Listener) error { return nil }

func (engine) RemoveListeners(list []config.Listener) error {
	for _, l := range list {
		syscall.Close(l.FD)
	}
	return nil
}

// newAnswerer answers with real forwards.
func newAnswerer(t *testing.T) *answerer {
	t.Helper()
	m, err := portfwd.NewManager(portfwd.Options{V4: true, V6: true, TCP: true, UDP: true, MaxRules: maxForwards, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m.Attach(engine{})
	a := &answerer{book: ports.NewBook(m, nil), network: network{netPrefix("10.0.2.0/24")}}
	t.Cleanup(func() {
		for _, s := range a.book.List() {
			if err := a.book.Remove(s.ID); err != nil {
				t.Error(err)
			}
		}
	})
	return a
}

// freePort is a port that nobody uses at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestRequests(t *testing.T) {
	a := newAnswerer(t)
	p1, p2, p3 := freePort(t), freePort(t), freePort(t)
	add := func(arguments string, values ...any) string {
		return fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{`+arguments+`}}`, values...)
	}
	const badAdd = `{"error":{"desc":"bad request: add_hostfwd: bad arguments.%s"}}`
	const badID = `{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}}`
	const entries = `{"id":1,"proto":"tcp","host_addr":"0.0.0.0","host_port":%[1]d,"guest_addr":"10.0.2.100","guest_port":80},` +
		`{"id":2,"proto":"udp","host_addr":"127.0.0.1","host_port":%[2]d,"guest_addr":"10.0.2.15","guest_port":53},` +
		`{"id":3,"proto":"tcp","host_addr":"::","host_port":%[3]d,"guest_addr":"fd00::64","guest_port":80}`
	list := fmt.Sprintf(entries, p1, p2, p3)
	for _, tt := range []struct{ name, request, want string }{
		{"empty", "", `{"error":{"desc":"bad request: cannot parse JSON"}}`},
		{"no JSON", "hello", `{"error":{"desc":"bad request: cannot parse JSON"}}`},
		{"cut", `{"execute":"list`, `{"error":{"desc":"bad request: cannot parse JSON"}}`},
		{"list", `[1]`, `{"error":{"desc":"bad request: json_object() failed"}}`},
		{"null", `null`, `{"error":{"desc":"bad request: json_object() failed"}}`},
		{"number", `12`, `{"error":{"desc":"bad request: json_object() failed"}}`},
		{"no execute", `{}`, `{"error":{"desc":"bad request: no execute found"}}`},
		{"execute of another type", `{"execute":1}`, `{"error":{"desc":"bad request: no execute found"}}`},
		{"unknown execute", `{"execute":"foo"}`, `{"error":{"desc":"bad request: unknown execute"}}`},
		{"empty list", `{"execute":"list_hostfwd"}`, `{"return":{"entries":[]},"entries":[]}`},

		{"no arguments", `{"execute":"add_hostfwd"}`, fmt.Sprintf(badAdd, "proto")},
		{"arguments of another type", `{"execute":"add_hostfwd","arguments":[1]}`, fmt.Sprintf(badAdd, "proto")},
		{"upper-case proto", add(`"proto":"TCP","host_port":%d,"guest_port":80`, p1), fmt.Sprintf(badAdd, "proto")},
		{"unknown proto", add(`"proto":"sctp","host_port":%d,"guest_port":80`, p1), fmt.Sprintf(badAdd, "proto")},
		{"proto of RootlessKit", add(`"proto":"tcp4","host_port":%d,"guest_port":80`, p1), fmt.Sprintf(badAdd, "proto")},
		{"order: proto first", add(`"proto":"x","host_addr":"x","host_port":0`), fmt.Sprintf(badAdd, "proto")},
		{"order: host_addr second", add(`"proto":"tcp","host_addr":"x","host_port":0`), fmt.Sprintf(badAdd, "host_addr")},
		{"order: host_port third", add(`"proto":"tcp","host_port":0,"guest_addr":"x"`), fmt.Sprintf(badAdd, "host_port")},
		{"order: guest_addr fourth", add(`"proto":"tcp","host_port":1,"guest_addr":"x","guest_port":0`), fmt.Sprintf(badAdd, "guest_addr")},
		{"IPv6 as host_addr", add(`"proto":"tcp","host_addr":"::1","host_port":%d,"guest_port":80`, p1), fmt.Sprintf(badAdd, "host_addr")},
		{"no host_port", add(`"proto":"tcp","guest_port":80`), fmt.Sprintf(badAdd, "host_port")},
		{"host_port as text", add(`"proto":"tcp","host_port":"8080","guest_port":80`), fmt.Sprintf(badAdd, "host_port")},
		{"host_port too large", add(`"proto":"tcp","host_port":65536,"guest_port":80`), fmt.Sprintf(badAdd, "host_port")},
		{"negative host_port", add(`"proto":"tcp","host_port":-1,"guest_port":80`), fmt.Sprintf(badAdd, "host_port")},
		{"IPv6 as guest_addr", add(`"proto":"tcp","host_port":%d,"guest_addr":"::1","guest_port":80`, p1), fmt.Sprintf(badAdd, "guest_addr")},
		{"no guest_port", add(`"proto":"tcp","host_port":%d`, p1), fmt.Sprintf(badAdd, "guest_port")},
		{"guest_port 0", add(`"proto":"udp","host_port":%d,"guest_port":0`, p1), fmt.Sprintf(badAdd, "guest_port")},

		{"TCP", add(`"proto":"tcp","host_port":%d,"guest_port":80,"other":true`, p1), `{"return":{"id":1}}`},
		{
			"port in use", add(`"proto":"tcp","host_addr":"","host_port":%d,"guest_port":81`, p1),
			`{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed"}}`,
		},
		{"UDP, a failure used no ID", add(`"proto":"udp","host_addr":"127.0.0.1","host_port":%d,"guest_addr":"10.0.2.15","guest_port":53`, p2), `{"return":{"id":2}}`},
		{"IPv6", add(`"proto":"tcp","host_port":%d,"guest_addr6":"fd00::64","guest_port":80`, p3), `{"return":{"id":3}}`},
		{"IPv4 as host_addr6", add(`"proto":"tcp","host_addr6":"127.0.0.1","host_port":1,"guest_port":80`), fmt.Sprintf(badAdd, "host_addr6")},
		{"IPv4 as guest_addr6", add(`"proto":"tcp","host_port":1,"guest_addr6":"127.0.0.1","guest_port":80`), fmt.Sprintf(badAdd, "guest_addr6")},
		{"execute is empty", `{"execute":""}`, `{"error":{"desc":"bad request: unknown execute"}}`},
		{"execute is null", `{"execute":null}`, `{"error":{"desc":"bad request: no execute found"}}`},
		{"all of them", `{"execute":"list_hostfwd"}` + "\n", `{"return":{"entries":[` + list + `]},"entries":[` + list + `]}`},

		{"remove without arguments", `{"execute":"remove_hostfwd"}`, badID},
		{"remove without id", `{"execute":"remove_hostfwd","arguments":{}}`, badID},
		{"remove by text", `{"execute":"remove_hostfwd","arguments":{"id":"1"}}`, badID},
		{"remove what is unknown", `{"execute":"remove_hostfwd","arguments":{"id":4}}`, badID},
		{"remove", `{"execute":"remove_hostfwd","arguments":{"id":1}}`, `{"return":{}}`},
		{"remove again", `{"execute":"remove_hostfwd","arguments":{"id":1}}`, badID},
		{"the port is free, the ID new", add(`"proto":"tcp","host_port":%d,"guest_port":80`, p1), `{"return":{"id":4}}`},
		{"the first value counts", `{"execute":"foo"} trailing`, `{"error":{"desc":"bad request: unknown execute"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(a.to([]byte(tt.request))); got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", tt.request, got, tt.want)
			}
		})
	}
}

// TestNumbers has ports and IDs in the forms that JSON knows.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]int{
		"8080": 8080, " 8080 ": 8080, "8080.0": 8080, "8.08e3": 8080, "8080E0": 8080, "80800e-1": 8080, "1": 1, "65535": 65535, "65535.0": 65535,
		"": 0, "0": 0, "-0": 0, "0.5": 0, "8080.5": 0, "65535.9": 0, "65536": 0, "73616": 0, "-1": 0, "-57456": 0, "1e10": 0, "1e400": 0,
		"4294975376": 0, "9223372036854775807": 0, `"8080"`: 0, "null": 0, "true": 0, "[80]": 0, "{}": 0,
	} {
		o := object{"host_port": json.RawMessage(text)}
		if got := o.whole("host_port", maxPort); got != want {
			t.Errorf("%s is %d, want %d", text, got, want)
		}
	}
	a := newAnswerer(t)
	for i, form := range []string{"%d", "%d.0", "%de0"} {
		id := i + 1
		want := fmt.Sprintf(`{"return":{"id":%d}}`, id)
		if got := string(a.to(fmt.Appendf(nil, `{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":%d.0,"guest_port":80.0}}`, freePort(t)))); got != want {
			t.Errorf("add: %s, want %s", got, want)
		}
		for _, bad := range []string{"%d.5", `"%d"`, "-%d", "%d0000000000"} {
			request := `{"execute":"remove_hostfwd","arguments":{"id":` + fmt.Sprintf(bad, id) + `}}`
			if got := string(a.to([]byte(request))); !strings.Contains(got, "bad arguments.id") {
				t.Errorf("%s: %s", request, got)
			}
		}
		request := `{"execute":"remove_hostfwd","arguments":{"id":` + fmt.Sprintf(form, id) + `}}`
		if got := string(a.to([]byte(request))); got != `{"return":{}}` {
			t.Errorf("%s: %s", request, got)
		}
	}
}

// stuck is a list whose forwards cannot be removed.
type stuck struct{ book }

func (stuck) Remove(int) error     { return errors.New("stuck") }
func (stuck) List() []ports.Status { return []ports.Status{{ID: 7}} }

func TestRemoveFails(t *testing.T) {
	a := answerer{book: stuck{}}
	want := `{"error":{"desc":"bad request: remove_hostfwd: slirp_remove_hostfwd failed"}}`
	if got := string(a.to([]byte(`{"execute":"remove_hostfwd","arguments":{"id":7}}`))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// serveAPI serves a list of forwards on a socket, until the end of the test.
func serveAPI(t *testing.T) (path string, log *bytes.Buffer) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "api.sock")
	l, err := listenAPI(path)
	if err != nil {
		t.Fatal(err)
	}
	log = &bytes.Buffer{}
	a := serverOf(l, *newAnswerer(t), &locked{w: log}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Serve(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return path, log
}

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// ask sends pieces, shuts down if so told, and gives the reply.
func ask(t *testing.T, path string, shut bool, pieces ...string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, p := range pieces {
		if i > 0 {
			time.Sleep(10 * time.Millisecond) // so that they are read apart
		}
		if _, err := io.WriteString(conn, p); err != nil {
			t.Fatal(err)
		}
	}
	if shut {
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConnections(t *testing.T) {
	path, log := serveAPI(t)
	const empty = `{"return":{"entries":[]},"entries":[]}`
	const tooLarge = `{"error":{"desc":"bad request: too large message"}}`
	const notJSON = `{"error":{"desc":"bad request: cannot parse JSON"}}`
	for _, tt := range []struct {
		name   string
		shut   bool
		pieces []string
		want   string
	}{
		{"shut down", true, []string{`{"execute":"list_hostfwd"}`}, empty},
		{"answer without shut-down", false, []string{`{"execute":"list_hostfwd"}`}, empty},
		{"line feed", false, []string{"{\"execute\":\"list_hostfwd\"}\n"}, empty},
		{"in pieces", false, []string{`{"exec`, `ute":"list`, `_hostfwd"}`}, empty},
		{"nothing", true, nil, notJSON},
		{"garbage", false, []string{"\x00\xff\x80"}, notJSON},
		{"longest", true, []string{`{"execute":"list_hostfwd"` + strings.Repeat(" ", 4069) + "}"}, empty},
		{"too long", false, []string{`{"execute":"list_hostfwd"` + strings.Repeat(" ", 4070) + "}"}, tooLarge},
		{"far too long", true, []string{strings.Repeat(" ", 100_000)}, tooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, path, tt.shut, tt.pieces...); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	want := "apifd event\napi_handler: got request: {\"execute\":\"list_hostfwd\"}\n"
	if !strings.HasPrefix(log.String(), want) {
		t.Errorf("log begins with %.100q, want %q", log.String(), want)
	}
}

// dialAPI connects, as soon as there is room in the queue.
func dialAPI(t *testing.T, path string) net.Conn {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// slowLoris says one byte of a request that never ends at a time, on a new connection
// whenever the old one is closed, until the end of the test.
func slowLoris(ctx context.Context, path string) {
	for ctx.Err() == nil {
		conn, err := net.Dial("unix", path)
		for ; err == nil && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			_, err = io.WriteString(conn, "[")
		}
		if conn != nil {
			conn.Close()
		}
		time.Sleep(time.Millisecond)
	}
}

// TestSlowClients: more of them than places do not delay one that asks.
func TestSlowClients(t *testing.T) {
	path, _ := serveAPI(t)
	for range 100 {
		if _, err := io.WriteString(dialAPI(t, path), `{"execute":`); err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if got := ask(t, path, false, `{"execute":"list_hostfwd"}`); !strings.HasPrefix(got, `{"return"`) {
		t.Errorf("got %q", got)
	}
	// Who waits for each to use up its time is answered after three times that.
	if d := time.Since(begin); d > requestTimeout {
		t.Errorf("answered after %v", d)
	}
}

// many are more forwards than a socket has room for in one reply.
type many struct{ refusing }

func (many) List() []ports.Status {
	return slices.Repeat([]ports.Status{{Spec: ports.Spec{Proto: "tcp4"}}}, 3000)
}

// TestClientThatDoesNotRead gives way to others that come.
func TestClientThatDoesNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := listenAPI(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Waiting = ctlsock.NewWaiting(1)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { serverOf(l, answerer{book: many{}}, io.Discard, slog.New(slog.DiscardHandler)).Serve(ctx) })
	defer group.Wait()
	defer cancel()
	conn := dialAPI(t, path)
	begin := time.Now()
	for _, err = io.WriteString(conn, `{"execute":"list_hostfwd"}`); err == nil; _, err = io.WriteString(conn, " ") {
		other := dialAPI(t, path)
		time.Sleep(150 * time.Millisecond)
		other.Close()
	}
	if d := time.Since(begin); !errors.Is(err, syscall.EPIPE) || d > requestTimeout/2 {
		t.Errorf("ends after %v, %v, want %v", d, err, syscall.EPIPE)
	}
}

// TestManyClients has 5,000 clients that ask, and others that send garbage, more than
// fits, nothing, or the rest never.
func TestManyClients(t *testing.T) {
	path, _ := serveAPI(t)
	ctx, cancel := context.WithCancel(t.Context())
	var lorises, clients sync.WaitGroup
	for range ctlsock.MaxClients/2 + 4 {
		lorises.Go(func() { slowLoris(ctx, path) })
		dialAPI(t, path)
	}
	defer lorises.Wait()
	defer cancel()
	for range 10 {
		clients.Go(func() {
			for n := range 500 {
				if n%50 == 0 {
					garbage(t, dialAPI(t, path))
				}
				if !isList(t, dialAPI(t, path)) {
					return
				}
			}
		})
	}
	clients.Wait()
}

// garbage sends what no client would, and expects an error, or the end.
func garbage(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	junk := make([]byte, 10*maxRequest)
	_, _ = rand.Read(junk)
	_, _ = conn.Write(junk) // which the server need not read
	_ = conn.(*net.UnixConn).CloseWrite()
	if b, err := io.ReadAll(conn); err == nil && !bytes.Contains(b, []byte(`"error"`)) {
		t.Errorf("garbage is answered with %q", b)
	}
}

// isList asks for the list of forwards on conn.
func isList(t *testing.T, conn net.Conn) bool {
	t.Helper()
	defer conn.Close()
	_, err := io.WriteString(conn, `{"execute":"list_hostfwd"}`)
	b, readErr := io.ReadAll(conn)
	if err != nil || readErr != nil || string(b) != `{"return":{"entries":[]},"entries":[]}` {
		t.Errorf("got %q, %v, %v", b, err, readErr)
		return false
	}
	return true
}

func TestSocketReplacesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := listenAPI(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		t.Errorf("%v, %v, want a socket", info.Mode(), err)
	}
	(&settings{apiSocket: path}).removeSocket()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSocketErrors(t *testing.T) {
	const failed = "\ndo_slirp failed\nparent failed"
	for path, want := range map[string]string{
		strings.Repeat("x", 108): "the specified API socket path is too long (>= 108)" + failed,
		"/nowhere/x":             `cannot bind "/nowhere/x": No such file or directory` + failed,
	} {
		r := &run{settings: usual(func(s *settings) { s.apiSocket = path })}
		if _, err := r.newAPI(service.Run{}); err == nil || err.Error() != want {
			t.Errorf("socket %.20s: %v, want %q", path, err, want)
		}
	}
}

// FuzzRequest checks that every request has an answer that is JSON, and either a
// result or an error.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"execute":"list_hostfwd"}`, `{"execute":"remove_hostfwd","arguments":{"id":7}}`, `{"execute":"add_hostfwd","arguments":{}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":1,"guest_addr":"10.0.2.100","guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr6":"::","host_port":1e3,"guest_port":65536}}`, `[`, `{"execute":null}`, ``,
	} {
		f.Add([]byte(seed))
	}
	a := answerer{book: refusing{}, network: network{netPrefix("10.0.2.0/24")}}
	f.Fuzz(func(t *testing.T, request []byte) {
		b, err := readRequest(bytes.NewReader(request))
		if err != nil {
			if len(request) < maxRequest {
				t.Errorf("%d bytes: %v", len(request), err)
			}
			return
		}
		var reply map[string]json.RawMessage
		if err := json.Unmarshal(a.to(b), &reply); err != nil || (reply["error"] == nil) == (reply["return"] == nil) {
			t.Errorf("%q is answered with %v, %v", request, reply, err)
		}
		_ = printable(request)
	})
}

// refusing is a list that takes no forward.
type refusing struct{}

func (refusing) Add(s ports.Spec) (ports.Status, error) {
	if s.ParentPort <= 0 || s.ParentPort > 65535 || s.ChildPort <= 0 || s.ChildPort > 65535 || netAddr(s.ParentIP).Zone() != "" {
		panic(fmt.Sprintf("%+v came through", s))
	}
	return ports.Status{}, errors.New("no")
}
func (refusing) List() []ports.Status { return nil }
func (refusing) Remove(int) error     { return errors.New("no") }
