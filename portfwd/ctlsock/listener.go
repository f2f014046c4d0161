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
	// owner is the user whose socket it is, guest the network namespace whose
	// processes are refused.
	owner uint32
	guest uint64
}

// NewListener makes a listener of the bound socket in file (see Listen), which it
// takes over. guest is the network namespace whose processes are refused
// (sys.OwnNetnsCookie); 0: none.
func NewListener(file *os.File, guest uint64) (*Listener, error) {
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
	return &Listener{UnixListener: u, owner: owner, guest: guest}, nil
}

// Admit gives the process ID of the client at the other end of conn, or tells why it
// has no say.
func (l *Listener) Admit(conn *net.UnixConn) (pid int, err error) {
	p, err := peerOf(conn)
	if err != nil {
		return 0, err
	}
	return p.pid, p.check(l.owner, l.guest)
}
