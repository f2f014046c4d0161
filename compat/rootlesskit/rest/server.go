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

// Server serves the clients of one socket.
type Server struct {
	listener *ctlsock.Listener
	backend  Backend
	log      *slog.Logger
}

// NewServer makes a server for the bound socket in file (see ctlsock.Listen), which
// it takes over. guest is the network namespace whose processes are refused
// (sys.OwnNetnsCookie); 0: none.
func NewServer(file *os.File, b Backend, guest uint64, log *slog.Logger) (*Server, error) {
	l, err := ctlsock.NewListener(file, guest)
	if err != nil {
		return nil, err
	}
	return &Server{listener: l, backend: b, log: log}, nil
}

// Serve accepts clients until ctx ends. It returns when all of them are gone.
func (s *Server) Serve(ctx context.Context) { s.listener.Serve(ctx, s.log, s.client) }

// client answers the requests of one connection.
func (s *Server) client(conn *net.UnixConn, pid int) {
	s.log.Debug(fmt.Sprintf("Accepted API client, PID %d", pid))
	requests := newRequestReader(conn)
	for {
		if conn.SetDeadline(time.Now().Add(requestTimeout)) != nil {
			return
		}
		req, err := requests.next()
		var wrong *requestError
		switch {
		case errors.As(err, &wrong):
			r := failure(wrong.status, wrong)
			_ = r.writeTo(conn, true)
			return
		case err != nil:
			if !errors.Is(err, io.EOF) {
				s.log.Debug("API client left", "err", err)
			}
			return
		}
		r := s.backend.answer(&req)
		if r.writeTo(conn, req.last) != nil || req.last {
			return
		}
	}
}
