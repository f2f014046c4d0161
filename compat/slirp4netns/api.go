package slirp4netns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

const (
	// maxRequest is the first length in bytes that is too long.
	maxRequest = 4096
	// requestTimeout bounds how long a client may take for its request, drainTimeout
	// and maxDrain what it may still say after the answer.
	requestTimeout = 5 * time.Second
	drainTimeout   = 200 * time.Millisecond
	maxDrain       = 1 << 20
	// maxForwards bounds the forwards of a run.
	maxForwards = 1 << 16
)

// api serves the JSON API: one request and one reply per connection.
type api struct {
	listener *ctlsock.Listener
	answer   answerer
	stderr   io.Writer
	log      *slog.Logger
}

// newAPI binds the API socket and makes its server.
func (r *run) newAPI(run service.Run) (service.Server, error) {
	const failed = "\ndo_slirp failed\nparent failed"
	path := r.settings.apiSocket
	if len(path) >= maxSocketPath {
		return nil, cmdline.Errorf("the specified API socket path is too long (>= %d)%s", maxSocketPath, failed)
	}
	l, err := listenAPI(path)
	if err != nil {
		return nil, cmdline.Errorf("cannot bind %q: %s%s", path, sys.Reason(err), failed)
	}
	a := answerer{book: ports.NewBook(run.Ports, nil), network: r.settings.network}
	return serverOf(l, a, r.Stderr, run.Log), nil
}

func serverOf(l *ctlsock.Listener, a answerer, stderr io.Writer, log *slog.Logger) *api {
	return &api{listener: l, answer: a, stderr: stderr, log: log}
}

// listenAPI binds a socket in place of whatever is at path.
func listenAPI(path string) (*ctlsock.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := ctlsock.Listen(path)
	if err != nil {
		return nil, err
	}
	return ctlsock.NewListener(file, nil)
}

// removeSocket removes the API socket, as the end by --exit-fd does. A sandbox may be
// in the way.
func (s *settings) removeSocket() {
	if s.apiSocket != "" {
		_ = os.Remove(s.apiSocket)
	}
}

// Serve implements service.Server.
func (a *api) Serve(ctx context.Context) { a.listener.Serve(ctx, a.log, a.client) }

// client answers one request.
func (a *api) client(conn *net.UnixConn, _ int) {
	if conn.SetDeadline(time.Now().Add(requestTimeout)) != nil {
		return
	}
	waiting := a.listener.Waiting
	waiting.Enter(conn)
	request, err := readRequest(conn)
	waiting.Leave(conn)
	fmt.Fprintf(a.stderr, "apifd event\napi_handler: got request: %s\n", printable(request))
	var reply []byte
	if err != nil {
		reply = failure(err)
	} else {
		reply = a.answer.to(request)
	}
	if _, err := waiting.Writer(conn).Write(reply); err != nil {
		return
	}
	// Closing a socket with unread data would take the reply from the client.
	_ = conn.CloseWrite()
	if conn.SetReadDeadline(time.Now().Add(drainTimeout)) == nil {
		_, _ = io.CopyN(io.Discard, conn, maxDrain)
	}
}

// readRequest reads until there is a complete JSON value, or no chance of one: the
// client need not shut down its end first. What is given along with an error is what
// came.
func readRequest(r io.Reader) ([]byte, error) {
	b := make([]byte, 0, maxRequest)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) >= maxRequest:
			return b[:64], cmdline.Text("bad request: too large message")
		case complete(b) || err != nil:
			return b, nil
		}
	}
}

// complete tells whether b begins with a JSON value, or with something else.
func complete(b []byte) bool {
	var v json.RawMessage
	err := json.NewDecoder(bytes.NewReader(b)).Decode(&v)
	return !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// printable is a request in one line of the log.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.TrimSpace(string(b)))
}
