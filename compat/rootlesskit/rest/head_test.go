package rest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
	"github.com/rootless-containers/rootlesskit/v3/pkg/api/router"
)

// exchange sends requests on one connection and gives the responses, which it reads as
// answers to a method each, and what comes behind them until the server closes.
func exchange(t *testing.T, path string, methods []string, requests string) (list []*http.Response, rest []byte) {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, requests); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for _, method := range methods {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("response %d, of %s: %v", len(list), method, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Header.Del("Date")
		list = append(list, resp)
	}
	rest, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return list, rest
}

// TestHead: the header is that of GET, and nothing follows it (RFC 9110 section 9.3.2):
// a body would be taken for the next response.
func TestHead(t *testing.T) {
	path := serve(t, nil)
	for _, target := range []string{"/v1/info", "/v1/ports", "/v1/ports/1", "/nowhere"} {
		t.Run(target, func(t *testing.T) {
			list, rest := exchange(t, path, []string{"HEAD", "GET"},
				"HEAD "+target+" HTTP/1.1\r\n\r\nGET "+target+" HTTP/1.1\r\n\r\n")
			head, get := list[0], list[1]
			if head.StatusCode != get.StatusCode || head.ContentLength != get.ContentLength {
				t.Errorf("HEAD: %s, %d bytes; GET: %s, %d bytes", head.Status, head.ContentLength, get.Status, get.ContentLength)
			}
			if diff := cmp.Diff(get.Header, head.Header); diff != "" {
				t.Errorf("header (-GET +HEAD):\n%s", diff)
			}
			if len(rest) > 0 {
				t.Errorf("%q behind the responses", rest)
			}
		})
	}
}

// TestAbsoluteTarget: clients of a proxy name the host in the request line (RFC 9112
// section 3.2.2), and get the same.
func TestAbsoluteTarget(t *testing.T) {
	list, _ := exchange(t, serve(t, nil), []string{"GET", "GET", "POST", "DELETE"}, "GET /v1/info HTTP/1.1\r\n\r\n"+
		"GET http://host/v1/info HTTP/1.1\r\nHost: other\r\n\r\n"+
		"POST http://host:80/v1/ports HTTP/1.1\r\nContent-Length: 46\r\n\r\n{\"proto\":\"tcp\",\"parentPort\":80,\"childPort\":80}"+
		"DELETE HTTP://[::1]/v1/ports/1 HTTP/1.1\r\n\r\n")
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusCreated, http.StatusOK} {
		if list[i].StatusCode != want {
			t.Errorf("response %d: %s, want %d", i, list[i].Status, want)
		}
	}
	if list[0].ContentLength != list[1].ContentLength {
		t.Errorf("%d bytes, want %d", list[1].ContentLength, list[0].ContentLength)
	}
}

// TestErrorOfHeadHasNoBody: what cannot be understood ends the connection, and has a
// header only, too.
func TestErrorOfHeadHasNoBody(t *testing.T) {
	list, rest := exchange(t, serve(t, nil), []string{"HEAD"}, "HEAD /v1/info HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
	if list[0].StatusCode != http.StatusNotImplemented || len(rest) > 0 {
		t.Errorf("%s and %q, want 501 and nothing", list[0].Status, rest)
	}
}

// TestHeadOfRootlessKit: RootlessKit's router does not know the method, so nobody depends
// on what we answer; it sends no body either.
func TestHeadOfRootlessKit(t *testing.T) {
	routes := mux.NewRouter()
	router.AddRoutes(routes, &router.Backend{NetworkDriver: theirNetwork{}, PortDriver: theirs{backend().Ports}})
	s := httptest.NewServer(routes)
	defer s.Close()
	resp, err := http.Head(s.URL + "/v1/info")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.ContentLength > 0 {
		t.Errorf("RootlessKit answers HEAD with %s and %d bytes, want 405 and none", resp.Status, resp.ContentLength)
	}
}
