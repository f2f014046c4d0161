package rootlesskit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"

	"github.com/rootless-containers/rootlesskit/v3/pkg/port"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/netns"
)

// childDriver makes sockets in its network namespace for the parent.
type childDriver struct{ log *slog.Logger }

// NewChildDriver gives the child's side of the driver. What goes wrong is written to
// logWriter.
func NewChildDriver(logWriter io.Writer) port.ChildDriver {
	return &childDriver{log: newLog(logWriter)}
}

func newLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// RunChildDriver serves the parent until quit. opaque is what the parent driver's
// OpaqueForChild says. With a detachedNetNSPath the sockets are made in that network
// namespace, else in that of the process.
func (d *childDriver) RunChildDriver(opaque map[string]string, quit <-chan struct{}, detachedNetNSPath string) error {
	path := opaque[socketKey]
	if path == "" {
		return errors.New("socket path not set")
	}
	m := maker{do: func(f func() error) error { return f() }, transparent: opaque[transparentKey] == "true", log: d.log}
	if detachedNetNSPath != "" {
		thread, err := threadIn(detachedNetNSPath)
		if err != nil {
			return err
		}
		defer thread.Close()
		m.do = thread.Do
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("connect to parent driver: %w", err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := m.serve(conn); err != nil {
			d.log.Warn("The parent of ports cannot be served any more", "err", err)
		}
	}()
	<-quit // whoever sends that waits for us to take it, whatever has become of the parent
	conn.Close()
	<-served
	return nil
}

func threadIn(path string) (*netns.Thread, error) {
	ns, err := netns.Open(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return netns.NewThread(ns)
}

// maker makes sockets.
type maker struct {
	log *slog.Logger
	// do runs a function in the network namespace.
	do func(func() error) error
	// transparent asks for TCP sockets that can be bound to the addresses of
	// clients; able4, able6 tell for which families that was prepared.
	transparent, able4, able6 bool
}

// prepare has services see the addresses of clients, as far as that can be done. Not
// before the first socket is needed: the loopback interface has to be up.
func (m *maker) prepare() {
	m.transparent = false // once
	err := m.do(func() (err error) {
		m.able4, m.able6, err = netcfg.AcceptForeignSources()
		return err
	})
	if err != nil {
		m.log.Warn("Services will not see the addresses of all clients", "err", err)
	}
}

// serve answers requests until the connection ends.
func (m *maker) serve(conn *net.UnixConn) error {
	if _, err := conn.Write([]byte{hello}); err != nil {
		return err
	}
	b := make([]byte, requestLen)
	for {
		if _, err := io.ReadFull(conn, b); errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		r, err := decodeRequest(b)
		if err != nil {
			return err
		}
		fds, errno := m.sockets(&r)
		err = sendSockets(conn, fds, errno)
		closeAll(fds)
		if err != nil {
			return err
		}
	}
}

// sockets makes what r asks for, or as many as can be made.
func (m *maker) sockets(r *request) (fds []int, errno syscall.Errno) {
	if m.transparent && r.typ == syscall.SOCK_STREAM {
		m.prepare()
	}
	_ = m.do(func() error {
		for range r.n {
			fd, e := m.socket(r)
			if errno = e; e != 0 {
				break
			}
			fds = append(fds, fd)
		}
		return nil
	})
	return fds, errno
}

// socket makes one of them, on a thread in the namespace.
func (m *maker) socket(r *request) (int, syscall.Errno) {
	fd, errno := sys.Socket(r.family, r.typ, 0)
	if errno != 0 || r.typ != syscall.SOCK_STREAM {
		return fd, errno
	}
	if r.family == syscall.AF_INET && !m.able4 || r.family == syscall.AF_INET6 && !m.able6 {
		return fd, 0
	}
	if errno = sys.SetTransparent(fd, r.family); errno == 0 {
		errno = sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_MARK, netcfg.ForeignMark)
	}
	if errno != 0 {
		sys.Close(fd)
		return -1, errno
	}
	return fd, 0
}
