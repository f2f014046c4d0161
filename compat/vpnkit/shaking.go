package vpnkit

import (
	"net"
	"slices"
	"sync"
)

// shaking are the connections whose client has not said yet what it wants, the oldest
// first, at most maxShaking. Any goroutine may call its methods.
type shaking struct {
	mu    sync.Mutex
	conns []*net.UnixConn
}

// enter takes a connection in, and closes the oldest if there are too many: that client
// has had more time than others, and these may be in earnest.
func (s *shaking) enter(conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == maxShaking {
		_ = s.conns[0].Close()
		s.conns = slices.Delete(s.conns, 0, 1)
	}
	s.conns = append(s.conns, conn)
}

// leave lets go of a connection, if it was not closed before.
func (s *shaking) leave(conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.conns, conn); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
	}
}
