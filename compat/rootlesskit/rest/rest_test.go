package rest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rootless-containers/rootlesskit/v3/pkg/api"
	"github.com/rootless-containers/rootlesskit/v3/pkg/api/client"
	"github.com/rootless-containers/rootlesskit/v3/pkg/port"

	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// fakeForwards takes any rule but for port 1, and opens nothing.
type fakeForwards struct{ rules portfwd.Rules }

func (f *fakeForwards) Options() portfwd.Options { return portfwd.Options{V4: true, V6: true} }

func (f *fakeForwards) Rules() (portfwd.Rules, uint64) { return f.rules, 0 }

func (f *fakeForwards) Add(pif fwd.Pif, rule fwd.Rule) error {
	if rule.First == 1 {
		return errors.New("port 1 is refused")
	}
	f.rules[pif] = append(f.rules[pif], rule)
	return nil
}

func (f *fakeForwards) Remove(fwd.Pif, fwd.Rule) error { return nil }

func backend() Backend {
	return Backend{Ports: ports.NewBook(&fakeForwards{}, nil), Info: api.Info{
		Version: "1.2", StateDir: "/run/x", ChildPID: 42,
		NetworkDriver: &api.NetworkDriverInfo{Driver: "pasta", ChildIP: net.IPv4(10, 0, 2, 100), IPv6: true},
		PortDriver:    &api.PortDriverInfo{Driver: "pasta", Protos: ports.Protos()},
	}}
}

// serve starts a server and gives its socket.
func serve(t *testing.T, home *ctlsock.Home) (path string) {
	t.Helper()
	return serveWith(t, backend(), home, ctlsock.MaxClients/2)
}

// serveWith is serve of a backend, with so many clients that may be waited for.
func serveWith(t *testing.T, b Backend, home *ctlsock.Home, waiting int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "api.sock")
	f, err := ctlsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(f, b, home, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.listener.Waiting = ctlsock.NewWaiting(waiting)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		s.Serve(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return path
}

// TestRootlessKitClient drives the server with the client that rootlessctl and
// Docker use.
func TestRootlessKitClient(t *testing.T) {
	c, err := client.New(serve(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	info, err := c.Info(ctx)
	want := backend().Info
	want.APIVersion = api.Version
	if diff := cmp.Diff(&want, info); err != nil || diff != "" {
		t.Errorf("info: %v (-want +got):\n%s", err, diff)
	}
	pm := c.PortManager()
	if list, err := pm.ListPorts(ctx); err != nil || len(list) != 0 {
		t.Errorf("at first: %v, %v, want no ports", list, err)
	}
	spec := port.Spec{Proto: "udp6", ParentIP: "::1", ParentPort: 5353, ChildIP: "::1", ChildPort: 53}
	st, err := pm.AddPort(ctx, spec)
	if err != nil || *st != (port.Status{ID: 1, Spec: spec}) {
		t.Fatalf("AddPort = %+v, %v, want ID 1", st, err)
	}
	if list, err := pm.ListPorts(ctx); err != nil || len(list) != 1 || list[0] != *st {
		t.Errorf("list: %v, %v, want the port", list, err)
	}
	for _, bad := range []struct {
		spec port.Spec
		want string
	}{
		{spec, "conflict with ID 1"},
		{port.Spec{Proto: "tcp", ParentPort: 1, ChildPort: 1}, "port 1 is refused"},
		{port.Spec{Proto: "x"}, `unknown proto: "x"`},
	} {
		if _, err := pm.AddPort(ctx, bad.spec); err == nil || err.Error() != bad.want {
			t.Errorf("AddPort(%v) = %v, want %s", bad.spec, err, bad.want)
		}
	}
	if err := pm.RemovePort(ctx, 1); err != nil {
		t.Error(err)
	}
	if err := pm.RemovePort(ctx, 1); err == nil || err.Error() != "unknown id: 1" {
		t.Errorf("second removal: %v, want unknown id", err)
	}
}

func TestRoutes(t *testing.T) {
	const tcp80 = `{"proto":"tcp","parentPort":80,"childPort":80}`
	tests := []struct {
		name, method, path, body string
		status                   status
		want                     string // of the body
		allow                    string
	}{
		{"no ports", "GET", "/v1/ports", "", 200, `[]`, ""},
		{"add", "POST", "/v1/ports", tcp80, 201, `{"id":1,"spec":{"proto":"tcp","parentPort":80,"childPort":80}}`, ""},
		{"list", "GET", "/v1/ports", "", 200, `[{"id":1,"spec":{"proto":"tcp","parentPort":80,"childPort":80}}]`, ""},
		{"no JSON", "POST", "/v1/ports", "tcp", 400, `{"message":"invalid character 'c' in literal true (expecting 'r')"}`, ""},
		{"nothing", "POST", "/v1/ports", "", 400, `{"message":"unexpected end of JSON input"}`, ""},
		{"port no number", "POST", "/v1/ports", `{"parentPort":"80"}`, 400, `{"message":"json: cannot unmarshal`, ""},
		{"bad specification", "POST", "/v1/ports", `{"proto":"tcp"}`, 400, `{"message":"invalid ParentPort: 0"}`, ""},
		{"bad proto", "POST", "/v1/ports", `{"proto":"x"}`, 400, `{"message":"unknown proto: \"x\""}`, ""},
		{"bad parentIP", "POST", "/v1/ports", `{"proto":"tcp","parentIP":"x","childIP":"y"}`, 400, `{"message":"invalid ParentIP: \"x\""}`, ""},
		{"bad childIP", "POST", "/v1/ports", `{"proto":"tcp","childIP":"y"}`, 400, `{"message":"invalid ChildIP: \"y\""}`, ""},
		{"bad childPort", "POST", "/v1/ports", `{"proto":"tcp","parentPort":80,"childPort":65536}`, 400, `{"message":"invalid ChildPort: 65536"}`, ""},
		{"conflict", "POST", "/v1/ports", tcp80, 400, `{"message":"conflict with ID 1"}`, ""},
		{"remove", "DELETE", "/v1/ports/1", "", 200, ``, ""},
		{"remove again", "DELETE", "/v1/ports/1", "", 400, `{"message":"unknown id: 1"}`, ""},
		{"bad ID", "DELETE", "/v1/ports/x", "", 400, `{"message":"bad id x: `, ""},
		{"no ID", "DELETE", "/v1/ports/", "", 404, `{"message":"page not found"}`, ""},
		{"below a port", "DELETE", "/v1/ports/1/x", "", 404, `{"message":"page not found"}`, ""},
		{"one port", "GET", "/v1/ports/1", "", 405, `{"message":"method not allowed"}`, "DELETE"},
		{"all ports", "DELETE", "/v1/ports", "", 405, `{"message":"method not allowed"}`, "GET, HEAD, POST"},
		{"change info", "POST", "/v1/info", "{}", 405, `{"message":"method not allowed"}`, "GET, HEAD"},
		{"other version", "GET", "/v2/info", "", 404, `{"message":"page not found"}`, ""},
		{"info", "GET", "/v1/info", "", 200, `{"apiVersion":"1.1.2","version":"1.2","stateDir":"/run/x","childPID":42,"networkDriver":` +
			`{"driver":"pasta","childIP":"10.0.2.100","ipv6":true},"portDriver":{"driver":"pasta","protos":["tcp"`, ""},
	}
	b := backend()
	for _, tt := range tests { // each on what the last one left
		t.Run(tt.name, func(t *testing.T) {
			r := b.answer(&request{method: tt.method, path: tt.path, body: []byte(tt.body)})
			if r.status != tt.status || !strings.HasPrefix(string(r.body), tt.want) || r.allow != tt.allow {
				t.Errorf("%d, %s, allow %q, want %d, %s, allow %q", r.status, r.body, r.allow, tt.status, tt.want, tt.allow)
			}
			if tt.want == "" && r.body != nil {
				t.Errorf("body %s, want none", r.body)
			}
		})
	}
}

func TestReadRequest(t *testing.T) {
	tests := []struct {
		name, in string
		want     request
		err      string
	}{
		{"simple", "GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n", request{method: "GET", path: "/v1/info"}, ""},
		{"query", "GET /v1/info?a=b HTTP/1.1\n\n", request{method: "GET", path: "/v1/info"}, ""},
		{"body", "POST /p HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET", request{method: "POST", path: "/p", body: []byte("abc")}, ""},
		{"last", "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", request{method: "GET", path: "/", last: true}, ""},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", request{method: "GET", path: "/", last: true}, ""},
		{"HTTP/1.0 that goes on", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", request{method: "GET", path: "/"}, ""},
		{"end", "", request{}, "EOF"},
		{"cut", "GET / HTTP/1.1\r\nHost: x\r\n", request{}, "EOF"},
		{"body cut", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", request{}, "unexpected EOF"},
		{"no request", "hello\r\n\r\n", request{}, "malformed request line"},
		{"absolute", "GET http://x/v1/info?a=b HTTP/1.1\r\nHost: y\r\n\r\n", request{method: "GET", path: "/v1/info"}, ""},
		{"another scheme", "GET ftp://x/v1/info HTTP/1.1\r\n\r\n", request{}, "malformed request line"},
		{"version", "GET / HTTP/2.0\r\n\r\n", request{}, "HTTP/1.1 is spoken here"},
		{"header", "GET / HTTP/1.1\r\nHost\r\n\r\n", request{}, "malformed header"},
		{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", request{}, "a Content-Length is needed"},
		{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", request{}, "malformed Content-Length"},
		{"negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", request{}, "malformed Content-Length"},
		{"large body", "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", request{}, "body exceeds 65536 bytes"},
		{"large line", "GET /" + strings.Repeat("x", maxHeader), request{}, "header exceeds 8192 bytes"},
		{"large header", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", maxHeader/6) + "\r\n", request{}, "header exceeds 8192 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, in := range map[string]io.Reader{
				"at once": strings.NewReader(tt.in), "bytewise": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				got, err := newRequestReader(in).next()
				if (err != nil || tt.err != "") && (err == nil || err.Error() != tt.err) {
					t.Fatalf("%s: error %v, want %q", name, err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(request{})); err == nil && diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestTargets compares the path that we find with that of net/http: "" is none.
func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"/": "/", "/v1/info": "/v1/info", "/v1/info?a=/b": "/v1/info", "//x/v1": "//x/v1",
		"http://x/v1/info": "/v1/info", "HTTP://x:80/v1/ports/1?q": "/v1/ports/1", "http://[::1]:80/v1": "/v1",
		"http://x": "/", "http://x/": "/", "http://x?a=b": "/", "http://x?a=/b": "/", "http://x//v1": "//v1",
		"http://u@x/http://y/": "/http://y/",
		"http://":              "", "http:///v1/info": "", "http://?a": "", "http:/v1": "", "http:": "", "https://x/v1/info": "", "v1/info": "", "*": "", "": "",
	} {
		path, ok := targetPath(target)
		if ok != (want != "") || ok && path != want {
			t.Errorf("%q: path %q, %v, want %q", target, path, ok, want)
		}
		theirs, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if ok && (err != nil || "/"+strings.TrimPrefix(theirs.URL.Path, "/") != path) {
			t.Errorf("%q: path %q, net/http has %+v, %v", target, path, theirs, err)
		}
	}
}

func TestSeveralRequests(t *testing.T) {
	in := "POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\n\r\n" + "GET /3 HTTP/1.1\r\nA: " +
		strings.Repeat("x", maxHeader/2) + "\r\n\r\n" + "GET /4 HTTP/1.1\r\nA: " + strings.Repeat("x", maxHeader/2) + "\r\n\r\n"
	r := newRequestReader(strings.NewReader(in))
	for _, want := range []string{"/1", "/2", "/3", "/4"} {
		if got, err := r.next(); err != nil || got.path != want {
			t.Fatalf("path %q, %v, want %q", got.path, err, want)
		}
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last one: %v, want the end", err)
	}
}

// TestResponsesAreHTTP has the standard library read them.
func TestResponsesAreHTTP(t *testing.T) {
	for _, want := range []response{
		{status: statusOK},
		{status: statusCreated, body: []byte(`{"id":1}`)},
		{status: statusMethodNotAllowed, body: []byte(`{}`), allow: "GET"},
	} {
		for _, last := range []bool{false, true} {
			var b bytes.Buffer
			if err := want.writeTo(&b, last); err != nil {
				t.Fatal(err)
			}
			got, err := http.ReadResponse(bufio.NewReader(&b), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			if err != nil || got.StatusCode != int(want.status) || !bytes.Equal(body, want.body) || got.Close != last ||
				got.Header.Get("Allow") != want.allow {
				t.Errorf("response %+v becomes %+v, body %s, %v", want, got, body, err)
			}
			if _, err := http.ParseTime(got.Header.Get("Date")); err != nil {
				t.Errorf("date: %v", err)
			}
		}
	}
}

func TestStatusTexts(t *testing.T) {
	for _, s := range []status{
		statusOK, statusCreated, statusBadRequest, statusNotFound, statusMethodNotAllowed, statusNotImplemented, statusVersion,
	} {
		if s.String() != http.StatusText(int(s)) {
			t.Errorf("%d is %q, want %q", s, s, http.StatusText(int(s)))
		}
	}
}

// TestMisbehavingClients: each gets an error if that makes sense, then the end of the
// connection, and the next one is served.
func TestMisbehavingClients(t *testing.T) {
	path := serve(t, nil)
	tests := []struct{ name, in, want string }{
		{"garbage", "\x00\xff\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
		{"endless line", strings.Repeat("x", maxHeader), "HTTP/1.1 413 Content Too Large\r\n"},
		{"another protocol", "PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
		{"chunks", "POST /v1/ports HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\n"},
		{
			"large body", "POST /v1/ports HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + strings.Repeat("x", 900000),
			"HTTP/1.1 413 Content Too Large\r\n",
		},
		{"leaves at once", "", ""},
		{"leaves early", "GET /v1/in", "HTTP/1.1 400 Bad Request\r\n"},
		{"leaves in the header", "GET /v1/info HTTP/1.1\r\nHost: x\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.in); err != nil {
				t.Fatal(err)
			}
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(got), tt.want) || tt.want == "" && len(got) > 0 {
				t.Errorf("answer %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	c, err := client.New(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("the next client: %v", err)
	}
}

// TestManyClientsAtOnce is more than are served at a time.
func TestManyClientsAtOnce(t *testing.T) {
	const clients = ctlsock.MaxClients + 8
	path := serve(t, nil)
	var group sync.WaitGroup
	for n := range clients {
		group.Go(func() {
			c, err := client.New(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.HTTPClient().CloseIdleConnections()
			spec := port.Spec{Proto: "tcp", ParentPort: 1000 + n, ChildPort: 80}
			if _, err := c.PortManager().AddPort(t.Context(), spec); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	c, err := client.New(path)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.PortManager().ListPorts(t.Context())
	if err != nil || len(list) != clients {
		t.Errorf("%d ports, %v, want %d", len(list), err, clients)
	}
}

// TestClientsThatHoldNobodyUp: more of them than are served do not delay the next one
// until their time is over.
func TestClientsThatHoldNobodyUp(t *testing.T) {
	for _, tt := range []struct{ name, words string }{
		{"say nothing", ""},
		{"send half a header", "GET /v1/info HTTP/1.1\r\nHost"},
		{"send half a body", "POST /v1/ports HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"},
		{"stay when they are answered", "GET /v1/info HTTP/1.1\r\n\r\n"},
		{"stay when they are refused", "garbage\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := serve(t, nil)
			for range ctlsock.MaxClients + 8 {
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
			c, err := client.New(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Info(t.Context()); err != nil {
				t.Error(err)
			}
			if d := time.Since(begin); d > requestTimeout/2 {
				t.Errorf("served after %v", d)
			}
		})
	}
}

// TestClientThatDoesNotRead gives way to others that come.
func TestClientThatDoesNotRead(t *testing.T) {
	b := backend()
	b.Info.StateDir = strings.Repeat("x", 1<<20) // more than a socket has room for
	path := serveWith(t, b, nil, 1)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	for _, err = io.WriteString(conn, "GET /v1/info HTTP/1.1\r\n\r\n"); err == nil; _, err = io.WriteString(conn, "x") {
		other, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Millisecond)
		other.Close()
	}
	if d := time.Since(begin); !errors.Is(err, syscall.EPIPE) || d > requestTimeout/2 {
		t.Errorf("ends after %v, %v, want %v", d, err, syscall.EPIPE)
	}
}

// TestConnectionsThatStay: clients go on with connections of theirs that may have given
// way to others, and see nothing of that.
func TestConnectionsThatStay(t *testing.T) {
	path := serve(t, nil)
	var group sync.WaitGroup
	for n := range ctlsock.MaxClients/2 + 4 {
		group.Go(func() {
			c, err := client.New(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.HTTPClient().CloseIdleConnections()
			for i := range 5 {
				spec := port.Spec{Proto: "tcp", ParentPort: 1000 + 5*n + i, ChildPort: 80}
				if _, err := c.PortManager().AddPort(t.Context(), spec); err != nil {
					t.Errorf("client %d, port %d: %v", n, i, err)
				}
				time.Sleep(time.Duration(n*i) * time.Millisecond) // so that the next request comes at any time
			}
		})
	}
	group.Wait()
}

func TestOtherNamespacesAreRefused(t *testing.T) {
	here, errno := sys.OwnNetnsCookie()
	if errno != 0 {
		netnstest.Lacks(t, "this kernel does not tell namespaces: %v", errno)
	}
	c, err := client.New(serve(t, ctlsock.HomeOf(here+1)))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := c.Info(t.Context()); err == nil {
		t.Errorf("a client in another namespace gets %+v", info)
	}
}

// FuzzRequest checks that no input panics or is read beyond the bounds, and that
// whatever is understood gets a response.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /v1/info HTTP/1.1\r\nHost: rootlesskit\r\n\r\n"))
	f.Add([]byte("POST /v1/ports HTTP/1.1\r\nContent-Length: 46\r\n\r\n{\"proto\":\"tcp\",\"parentPort\":80,\"childPort\":80}"))
	f.Add([]byte("HEAD /v1/ports HTTP/1.1\r\n\r\n"))
	f.Add([]byte("GET http://rootlesskit/v1/info?a HTTP/1.1\r\nHost: rootlesskit\r\n\r\n"))
	f.Add([]byte("GET HTTP://x?/ HTTP/1.1\r\n\r\n"))
	f.Add([]byte("DELETE /v1/ports/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRequestReader(bytes.NewReader(b))
		back := backend()
		for {
			req, err := r.next()
			if err != nil {
				return
			}
			if len(req.body) > maxBody || len(req.path) > maxHeader || !strings.HasPrefix(req.path, "/") || strings.Contains(req.path, "?") {
				t.Fatalf("request of path %q and %d bytes", req.path, len(req.body))
			}
			resp := back.answer(&req)
			if err := resp.writeTo(io.Discard, req.last); err != nil {
				t.Fatal(err)
			}
		}
	})
}
