package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
	"github.com/rootless-containers/rootlesskit/v3/pkg/api"
	"github.com/rootless-containers/rootlesskit/v3/pkg/api/router"
	"github.com/rootless-containers/rootlesskit/v3/pkg/port"
	"github.com/rootless-containers/rootlesskit/v3/pkg/version"

	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
)

// theirs puts our ports behind RootlessKit's own router.
type theirs struct{ *ports.Book }

func (d theirs) Info(context.Context) (*api.PortDriverInfo, error) {
	return backend().Info.PortDriver, nil
}

func (d theirs) AddPort(_ context.Context, s port.Spec) (*port.Status, error) {
	st, err := d.Add(ports.Spec(s))
	return &port.Status{ID: st.ID, Spec: port.Spec(st.Spec)}, err
}

func (d theirs) ListPorts(context.Context) (list []port.Status, err error) {
	for _, st := range d.List() {
		list = append(list, port.Status{ID: st.ID, Spec: port.Spec(st.Spec)})
	}
	return list, nil
}

func (d theirs) RemovePort(_ context.Context, id int) error { return d.Remove(id) }

// theirNetwork is what we say of the network.
type theirNetwork struct{}

func (theirNetwork) Info(context.Context) (*api.NetworkDriverInfo, error) {
	return backend().Info.NetworkDriver, nil
}

// TestSameAsRootlessKitsRouter: each request gets the same status and the same JSON
// from both, on ports that go through the same changes.
func TestSameAsRootlessKitsRouter(t *testing.T) {
	ours := backend()
	ours.Info.Version = version.Version
	routes := mux.NewRouter()
	router.AddRoutes(routes, &router.Backend{
		StateDir: ours.Info.StateDir, ChildPID: ours.Info.ChildPID,
		NetworkDriver: theirNetwork{}, PortDriver: theirs{backend().Ports},
	})
	const spec = `{"proto":"udp4","parentIP":"127.0.0.1","parentPort":53,"childPort":5353,"childIP":"10.0.2.100"}`
	requests := []struct{ method, path, body string }{
		{"GET", "/v1/info", ""},
		{"POST", "/v1/ports", spec},
		{"POST", "/v1/ports", `{"proto":"tcp","parentPort":80,"childPort":80,"unknown":true}`},
		{"GET", "/v1/ports", ""},
		{"POST", "/v1/ports", spec},
		{"POST", "/v1/ports", `{"proto":"x"}`},
		{"POST", "/v1/ports", `{"proto":"tcp","parentPort":1,"childPort":1}`},
		{"POST", "/v1/ports", `{"parentPort":"80"`},
		{"POST", "/v1/ports", `{"parentPort":70000,"proto":"tcp"}`},
		{"DELETE", "/v1/ports/1", ""},
		{"DELETE", "/v1/ports/1", ""},
		{"DELETE", "/v1/ports/one", ""},
		{"GET", "/v1/ports", ""},
	}
	for _, r := range requests {
		t.Run(strings.TrimSpace(r.method+" "+r.path+" "+r.body), func(t *testing.T) {
			w := httptest.NewRecorder()
			routes.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), r.method, r.path, bytes.NewBufferString(r.body)))
			got := ours.answer(&request{method: r.method, path: r.path, body: []byte(r.body)})
			if int(got.status) != w.Code {
				t.Errorf("status %d, RootlessKit's is %d", got.status, w.Code)
			}
			if diff := cmp.Diff(decoded(t, w.Body.Bytes()), decoded(t, got.body)); diff != "" && !bothSyntax(r.body) {
				t.Errorf("body (-theirs +ours):\n%s", diff)
			}
		})
	}
	for _, r := range []struct{ method, path string }{
		{"GET", "/v2/info"}, {"PUT", "/v1/info"}, {"DELETE", "/v1/ports/"}, {"DELETE", "/v1/ports/1/x"}, {"GET", "/"},
	} {
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), r.method, r.path, http.NoBody))
		if got := ours.answer(&request{method: r.method, path: r.path}); int(got.status) != w.Code {
			t.Errorf("%s %s: status %d, RootlessKit's is %d", r.method, r.path, got.status, w.Code)
		}
	}
}

// bothSyntax tells whether body is no JSON: a stream and a text of it end in different
// words.
func bothSyntax(body string) bool { return body != "" && !json.Valid([]byte(body)) }

// decoded gives the value of a JSON text, nil for none.
func decoded(t *testing.T, b []byte) (v any) {
	t.Helper()
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return v
}
