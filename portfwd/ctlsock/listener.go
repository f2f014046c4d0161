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
	// owner is the user whose socket it is, home the network namespace outside of
	// which processes are refused.
	owner uint32
	home  uint64
}

// NewListener makes a listener of the bound socket in file (see Listen), which it
// takes over. home is the network namespace (sys.OwnNetnsCookie) outside of which
// processes are refused; 0: none are.
func NewListener(file *os.File, home uint64) (*Listener, error) {
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
	return &Listener{UnixListener: u, owner: owner, home: home}, nil
}

// Admit gives the process ID of the client at the other end of conn, or tells why it
// has no say.
func (l *Listener) Admit(conn *net.UnixConn) (pid int, err error) {
	p, err := peerOf(conn)
	if err != nil {
		return 0, err
	}
	return p.pid, p.check(l.owner, l.home)
}
