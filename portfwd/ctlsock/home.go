package ctlsock

import (
	"fmt"
	"net"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// Home is a network namespace outside of which clients are refused: the guest must not
// have a say in what reaches it, and could make itself further namespaces, but not
// get into that one. Linux makes the accepted socket in the namespace of the client
// (unix_stream_connect), so that it says where the client is: by its cookie, or on
// kernels before 5.14 by whether sock_diag lists it at home. Any goroutine may use it.
type Home struct {
	cookie uint64
	diag   *unixDiag // if there are no cookies
}

// HomeOf gives the namespace with a cookie (sys.OwnNetnsCookie).
func HomeOf(cookie uint64) *Home { return &Home{cookie: cookie} }

// OwnHome gives the namespace of the calling thread. Where the kernel has no means to tell
// clients elsewhere, that is an error: nobody could be admitted.
func OwnHome() (*Home, error) { return ownHome(sys.OwnNetnsCookie, newUnixDiag) }

// ownHome is OwnHome, with what gives the cookie of the namespace, and opens sock_diag.
func ownHome(cookie func() (uint64, syscall.Errno), open func() (*unixDiag, error)) (*Home, error) {
	if c, errno := cookie(); errno == 0 {
		return HomeOf(c), nil
	}
	d, err := open()
	if err != nil {
		return nil, fmt.Errorf("this kernel cannot tell which clients of a control socket are in other network namespaces: %w\n"+
			"Linux 5.14 can, or an older one with CONFIG_UNIX_DIAG; otherwise do without the socket", err)
	}
	return &Home{diag: d}, nil
}

// has tells whether the client at the other end of the accepted socket fd is there. It
// is not if that cannot be found out.
func (h *Home) has(fd int) error {
	if h.diag != nil {
		return h.diag.has(fd)
	}
	switch c, errno := sys.NetnsCookie(fd); {
	case errno != 0:
		return fmt.Errorf("read network namespace of client: %w", errno)
	case c != h.cookie:
		return errPeerAway
	}
	return nil
}

// atHome refuses a client outside of the home, if there is one.
func (l *Listener) atHome(conn *net.UnixConn) error {
	if l.home == nil {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = l.home.has(int(fd)) }); err != nil {
		return err
	}
	return inner
}
