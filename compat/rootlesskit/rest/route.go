package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rootless-containers/rootlesskit/v3/pkg/api"

	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
)

// Backend is what the API shows and changes. Its functions may be called by several
// goroutines.
type Backend struct {
	// Ports are the published ports.
	Ports *ports.Book
	// Info tells about the run. The version of the API is added.
	Info api.Info
}

// answer does what r asks for. HEAD gets the header that GET gets (RFC 9110 section 9.3.2).
func (b *Backend) answer(r *request) response {
	if r.method != "HEAD" {
		return b.route(r)
	}
	get := *r
	get.method = "GET"
	resp := b.route(&get)
	resp.headOnly = true
	return resp
}

func (b *Backend) route(r *request) response {
	if id, ok := strings.CutPrefix(r.path, "/v1/ports/"); ok && id != "" && !strings.Contains(id, "/") {
		if r.method != "DELETE" {
			return notAllowed("DELETE")
		}
		return b.deletePort(id)
	}
	switch {
	case r.path == "/v1/info" && r.method == "GET":
		return b.info()
	case r.path == "/v1/info":
		return notAllowed("GET, HEAD")
	case r.path == "/v1/ports" && r.method == "GET":
		return jsonResponse(statusOK, b.Ports.List())
	case r.path == "/v1/ports" && r.method == "POST":
		return b.postPort(r.body)
	case r.path == "/v1/ports":
		return notAllowed("GET, HEAD, POST")
	}
	return failure(statusNotFound, errors.New("page not found"))
}

func (b *Backend) info() response {
	info := b.Info
	info.APIVersion = api.Version
	return jsonResponse(statusOK, info)
}

func (b *Backend) postPort(body []byte) response {
	var spec ports.Spec
	if err := json.Unmarshal(body, &spec); err != nil {
		return failure(statusBadRequest, err)
	}
	st, err := b.Ports.Add(spec)
	if err != nil {
		return failure(statusBadRequest, err)
	}
	return jsonResponse(statusCreated, st)
}

func (b *Backend) deletePort(text string) response {
	id, err := strconv.Atoi(text)
	if err != nil {
		return failure(statusBadRequest, fmt.Errorf("bad id %s: %w", text, err))
	}
	if err := b.Ports.Remove(id); err != nil {
		return failure(statusBadRequest, err)
	}
	return response{status: statusOK}
}

func notAllowed(allow string) response {
	r := failure(statusMethodNotAllowed, errors.New("method not allowed"))
	r.allow = allow
	return r
}

// failure is the response that clients show err of.
func failure(s status, err error) response {
	return jsonResponse(s, struct {
		Message string `json:"message"`
	}{err.Error()})
}

// jsonResponse gives v, which is of a type that can be encoded.
func jsonResponse(s status, v any) response {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return response{status: s, body: body}
}
