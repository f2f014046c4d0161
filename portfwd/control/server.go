package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// requestTimeout bounds how long a client may think between messages, and how long
// one message may take.
const requestTimeout = 5 * time.Second

// Ports are the forwards of a run, see portfwd.Manager.
type Ports interface {
	Options() portfwd.Options
	Rules() (portfwd.Rules, uint64)
	Replace(generation uint64, rules portfwd.Rules) (warnings []string, err error)
}

// Server serves clients of one control socket, each in a goroutine of its own: Ports
// puts their changes in order.
type Server struct {
	listener *ctlsock.Listener
	ports    Ports
	log      *slog.Logger
}

// NewServer makes a server for the bound socket in file, which it takes over. home
// is the network namespace outside of which processes are refused; nil: none are.
func NewServer(file *os.File, ports Ports, home *ctlsock.Home, log *slog.Logger) (*Server, error) {
	l, err := ctlsock.NewListener(file, home)
	if err != nil {
		return nil, err
	}
	return &Server{listener: l, ports: ports, log: log}, nil
}

// Serve accepts clients until ctx ends. It returns when all of them are gone.
func (s *Server) Serve(ctx context.Context) { s.listener.Serve(ctx, s.log, s.client) }

// client serves one client until it has had enough or misbehaves.
func (s *Server) client(conn *net.UnixConn, pid int) {
	s.log.Info(fmt.Sprintf("Accepted configuration client, PID %d", pid))
	if err := s.send(conn, kindHello, s.hello()); err != nil {
		return
	}
	waiting := s.listener.Waiting
	waiting.Enter(conn)
	defer waiting.Leave(conn)
	for {
		if conn.SetReadDeadline(time.Now().Add(requestTimeout)) != nil {
			return
		}
		k, payload, err := readMessage(conn)
		// From its first request on, a client works on what it was told, and gives way to
		// nobody.
		waiting.Leave(conn)
		if err != nil {
			s.log.Debug("Configuration client left", "err", err)
			return
		}
		answer, v := s.answer(k, payload)
		if s.send(conn, answer, v) != nil {
			return
		}
	}
}

func (s *Server) send(conn *net.UnixConn, k kind, v any) error {
	if err := conn.SetWriteDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	return writeMessage(s.listener.Waiting.Writer(conn), k, v)
}

func (s *Server) hello() Hello {
	o := s.ports.Options()
	return Hello{
		IPv4: o.V4, IPv6: o.V6, TCP: o.TCP, UDP: o.UDP, Scan: o.Namespace != nil, Splice: o.Namespace != nil,
		EphemeralFirst: o.Ephemeral.First, EphemeralLast: o.Ephemeral.Last,
	}
}

// answer handles one request.
func (s *Server) answer(k kind, payload []byte) (kind, any) {
	switch k {
	case kindList:
		rules, generation := s.ports.Rules()
		return kindConfig, NewConfig(rules, generation, s.ports.Options().Namespace != nil)
	case kindReplace:
		result, err := s.replace(payload)
		if err != nil {
			return kindFailure, Failure{Message: err.Error()}
		}
		return kindResult, result
	default: // answers, and what later versions may ask
		return kindFailure, Failure{Message: fmt.Sprintf("Unknown request %d", k)}
	}
}

func (s *Server) replace(payload []byte) (Result, error) {
	var c Config
	if json.Unmarshal(payload, &c) != nil {
		return Result{}, &Failure{Message: "Malformed request"}
	}
	rules, err := c.Rules()
	if err != nil {
		return Result{}, err
	}
	warnings, err := s.ports.Replace(c.Generation, rules)
	if err != nil {
		return Result{}, err
	}
	for _, w := range warnings {
		s.log.Warn(w)
	}
	return Result{Generation: c.Generation + 1, Warnings: warnings}, nil
}
