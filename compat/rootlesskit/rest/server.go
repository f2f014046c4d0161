package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// requestTimeout bounds how long a client may take for one request, and think before
// it.
const requestTimeout = 5 * time.Second

// lingerBytes bounds what is read from a client whose request was refused.
const lingerBytes = 1 << 20

// Server serves the clients of one socket.
type Server struct {
	listener *ctlsock.Listener
	backend  Backend
	log      *slog.Logger
}

// NewServer makes a server for the bound socket in file (see ctlsock.Listen), which
// it takes over. home is the network namespace outside of which
// processes are refused; nil: none are.
func NewServer(file *os.File, b Backend, home *ctlsock.Home, log *slog.Logger) (*Server, error) {
	l, err := ctlsock.NewListener(file, home)
	if err != nil {
		return nil, err
	}
	return &Server{listener: l, backend: b, log: log}, nil
}

// Serve accepts clients until ctx ends. It returns when all of them are gone.
func (s *Server) Serve(ctx context.Context) { s.listener.Serve(ctx, s.log, s.client) }

// client answers the requests of one connection. Where others wait, it may have to end
// between two of them, which HTTP clients are prepared for (RFC 9112 section 9.3).
func (s *Server) client(conn *net.UnixConn, pid int) {
	s.log.Debug(fmt.Sprintf("Accepted API client, PID %d", pid))
	requests, responses := newRequestReader(conn), s.listener.Waiting.Writer(conn)
	for {
		if conn.SetDeadline(time.Now().Add(requestTimeout)) != nil {
			return
		}
		s.listener.Waiting.Enter(conn)
		req, err := requests.next()
		s.listener.Waiting.Leave(conn)
		var wrong *requestError
		switch {
		case errors.As(err, &wrong):
			r := failure(wrong.status, wrong)
			r.headOnly = req.method == "HEAD"
			if r.writeTo(responses, true) == nil {
				s.linger(conn)
			}
			return
		case err != nil:
			if !errors.Is(err, io.EOF) {
				s.log.Debug("API client left", "err", err)
			}
			return
		}
		r := s.backend.answer(&req)
		if r.writeTo(responses, req.last) != nil || req.last {
			return
		}
	}
}

// linger lets the client read the last response before the connection ends, which it
// might only do when it has sent all of its request (RFC 9112 section 9.6). The
// deadline of the request holds.
func (s *Server) linger(conn *net.UnixConn) {
	s.listener.Waiting.Enter(conn)
	defer s.listener.Waiting.Leave(conn)
	if conn.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, lingerBytes)
	}
}
