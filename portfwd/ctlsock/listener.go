package ctlsock

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Listener accepts the clients of one control socket. Whoever accepts has to ask
// Admit about each before anything else.
type Listener struct {
	*net.UnixListener
	// Waiting are clients that Serve serves and that are waited for. There is room for
	// fewer than are served, so that they never have all places.
	Waiting *Waiting
	// owner is the user whose socket it is, home the network namespace outside of
	// which processes are refused; nil: none are.
	owner uint32
	home  *Home
}

// NewListener makes a listener of the bound socket in file (see Listen), which it
// takes over. home is the network namespace outside of which processes are refused; nil:
// none are.
func NewListener(file *os.File, home *Home) (*Listener, error) {
	defer file.Close()
	owner, err := ownerOf(file)
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("use control socket: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("use control socket: %w", syscall.EPROTOTYPE)
	}
	return &Listener{UnixListener: u, Waiting: NewWaiting(MaxClients / 2), owner: owner, home: home}, nil
}

// Admit gives the process ID of the client at the other end of conn, or tells why it
// has no say.
func (l *Listener) Admit(conn *net.UnixConn) (pid int, err error) {
	p, err := peerOf(conn)
	if err != nil {
		return 0, err
	}
	if err := p.check(l.owner); err != nil {
		return p.pid, err
	}
	return p.pid, l.atHome(conn)
}
