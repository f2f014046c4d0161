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
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

const (
	// maxLinks is how many connections are served at a time. Each has a thread, and
	// memory for a data path of its own.
	maxLinks = 64
	// maxShaking is how many more may be silent, or about to say what they want. The next
	// one takes the place of the oldest.
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
	// shaking are the connections that have not said yet what they want, links counts
	// those that move frames.
	shaking  *ctlsock.Waiting
	links    chan struct{}
	resolver *resolver
}

func newServer(s *settings, attach service.Attach, log *slog.Logger) *server {
	return &server{
		settings: s, guests: newGuests(&s.network), lan: newLAN(s.network.serverMAC), attach: attach, log: log,
		shaking: ctlsock.NewWaiting(maxShaking), links: make(chan struct{}, maxLinks), resolver: newResolver(log),
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
		u := conn.(*net.UnixConn)
		s.shaking.Enter(u)
		go s.client(u)
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
	fd, g, err := s.welcome(conn)
	if err != nil {
		s.log.Info("client refused", "err", err)
		return
	}
	defer s.freeLink()
	s.link(fd, g)
}

// welcome shakes hands and gives the descriptor that frames move on from then on, with
// one of the links.
func (s *server) welcome(conn *net.UnixConn) (fd int, g guest, err error) {
	defer conn.Close()
	g, err = s.shakeHands(conn)
	if err != nil {
		return -1, g, err
	}
	if fd, err = takeFD(conn); err != nil {
		s.freeLink()
	}
	return fd, g, err
}

// shakeHands finds out who the client speaks for, and grants it a link if there is room
// for one.
func (s *server) shakeHands(conn *net.UnixConn) (g guest, err error) {
	c, err := s.hear(conn)
	if err == nil {
		g, err = s.admit(c)
	}
	var r refusal
	switch {
	case err == nil:
		if _, err = conn.Write(vifResponse(s.settings.network.mtu, g.mac)); err != nil {
			s.freeLink()
		}
	case errors.As(err, &r):
		_, _ = conn.Write(disconnectResponse(string(r))) // a client that has gone need not know
	}
	return g, err
}

// hear finds out what a client wants. It has some time for that, until too many others
// come.
func (s *server) hear(conn *net.UnixConn) (command, error) {
	defer s.shaking.Leave(conn)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return command{}, err
	}
	return readCommand(conn)
}

// admit gives the guest that a client speaks for, and takes a link for it. Errors are
// refusals.
func (s *server) admit(c command) (g guest, err error) {
	select {
	case s.links <- struct{}{}:
	default:
		return g, errTooMany
	}
	if g, err = s.guests.assign(c); err != nil {
		s.freeLink()
	}
	return g, err
}

func (s *server) freeLink() { <-s.links }

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
