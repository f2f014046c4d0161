package vpnkit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/tap"
)

const (
	// maxLinks is how many connections are served at a time. Each has a thread, and
	// memory for a data path of its own.
	maxLinks = 64
	// maxShaking is how many more may be on their way there.
	maxShaking = 64
	// patience is how long a client may take to shake hands.
	patience = 10 * time.Second
	// acceptPause follows an error for which waiting helps.
	acceptPause = 100 * time.Millisecond
)

var errTooMany = refusal(fmt.Sprintf("Too many connections: %d are served at a time.", maxLinks))

// server serves the clients of one socket.
type server struct {
	settings *settings
	guests   *guests
	lan      *lan
	attach   service.Attach
	log      *slog.Logger
	// shaking and links count connections.
	shaking, links chan struct{}
	resolver       *resolver
}

func newServer(s *settings, attach service.Attach, log *slog.Logger) *server {
	return &server{
		settings: s, guests: newGuests(&s.network), lan: newLAN(s.network.serverMAC), attach: attach, log: log,
		shaking: make(chan struct{}, maxShaking), links: make(chan struct{}, maxLinks),
		resolver: newResolver(log),
	}
}

// serve accepts clients until the socket fails.
func (s *server) serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		switch {
		case passes(err):
			s.log.Warn("accept client", "err", err)
			time.Sleep(acceptPause)
			continue
		case err != nil:
			return fmt.Errorf("accept client: %w", err)
		}
		s.shaking <- struct{}{} // further ones wait
		go s.client(conn.(*net.UnixConn))
	}
}

// passes tells errors of accept(2) that are nobody's fault for long.
func passes(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// client serves one connection until it ends.
func (s *server) client(conn *net.UnixConn) {
	room := false
	select {
	case s.links <- struct{}{}:
		room = true
		defer func() { <-s.links }()
	default:
	}
	fd, g, err := s.welcome(conn, room)
	<-s.shaking
	if err != nil {
		s.log.Info("client refused", "err", err)
		return
	}
	s.link(fd, g)
}

// welcome shakes hands and gives the descriptor that frames move on from then on.
func (s *server) welcome(conn *net.UnixConn, room bool) (fd int, g guest, err error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return -1, g, err
	}
	if g, err = s.shakeHands(conn, room); err == nil {
		fd, err = takeFD(conn)
	}
	return fd, g, err
}

// shakeHands finds out who the client speaks for, and grants it a link if there is room
// for one.
func (s *server) shakeHands(conn io.ReadWriter, room bool) (g guest, err error) {
	c, err := readCommand(conn)
	if err == nil && !room {
		err = errTooMany
	}
	if err == nil {
		g, err = s.guests.assign(c)
	}
	var r refusal
	switch {
	case err == nil:
		_, err = conn.Write(vifResponse(s.settings.network.mtu, g.mac))
	case errors.As(err, &r):
		_, _ = conn.Write(disconnectResponse(string(r))) // a client that has gone need not know
	}
	return g, err
}

// readCommand exchanges versions and reads what the client wants. Refusals are to be
// told to the client; after other errors there is nobody to talk to.
func readCommand(conn io.ReadWriter) (c command, err error) {
	var hello [initLen]byte
	if _, err := io.ReadFull(conn, hello[:]); err != nil {
		return c, fmt.Errorf("read version: %w", err)
	}
	if _, err := conn.Write(initMessage()); err != nil {
		return c, fmt.Errorf("send version: %w", err)
	}
	if v := initVersion(hello[:]); v != protocolVersion {
		return c, fmt.Errorf("client speaks version %d, not %d", v, protocolVersion)
	}
	var b [commandLen]byte
	if _, err := io.ReadFull(conn, b[:1]); err != nil {
		return c, fmt.Errorf("read command: %w", err)
	}
	if b[0] == commandBind { // its length does not matter then
		return c, refusal("Unsupported command Bind_ipv4")
	}
	if _, err := io.ReadFull(conn, b[1:]); err != nil {
		return c, fmt.Errorf("read command: %w", err)
	}
	c, ok := parseCommand(b[:])
	if !ok {
		return c, fmt.Errorf("unknown command % x", b[:1+uuidTextLen])
	}
	return c, nil
}

// takeFD gives a descriptor of the connection that the Go runtime does not know of.
func takeFD(conn *net.UnixConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctlErr := raw.Control(func(old uintptr) {
		if fd, err = syscall.Dup(int(old)); err == nil {
			syscall.CloseOnExec(fd)
		}
	})
	return fd, errors.Join(ctlErr, err)
}

// link moves frames until the connection ends.
func (s *server) link(fd int, g guest) {
	log := s.log.With("ip", g.ip)
	p := s.lan.join(tap.NewStream(fd, tap.PrefixLE16), g.mac, s.settings.network.mtu)
	defer s.lan.leave(p)
	log.Info("client connected")
	host := s.resolver.current()
	defer s.resolver.ended(p)
	err := s.attach(&service.Guest{
		Config: s.settings.config(g, host), Link: service.Link{Device: p, GuestMAC: g.mac},
		Stations: s.guests, Started: func(e service.Engine) {
			p.wake = e.Wake
			s.resolver.started(p, e, host)
		},
	})
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		log.Info("client disconnected")
		return
	}
	log.Warn("connection ended", "err", err)
}
