package rootlesskit

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rootless-containers/rootlesskit/v3/pkg/port"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/portfwd"
)

// refusedFor is how long clients of a service that does not listen yet wait for it.
// The driver builtin does the same for 225 ms, and RootlessKit's test suite, which does
// not wait for its services, needs it.
const refusedFor = time.Second

// helloTimeout bounds how long whoever connects may take to say that it is the child.
const helloTimeout = 5 * time.Second

// RunParentDriver publishes ports until quit. It waits for the child, tells by
// initComplete that AddPort may be called, and takes the value that is sent to quit.
// The child's addresses do not matter.
func (d *parentDriver) RunParentDriver(initComplete chan struct{}, quit <-chan struct{}, _ *port.ChildContext) error {
	child, err := d.awaitChild(quit)
	if child == nil || err != nil {
		return err
	}
	r, err := d.start(child)
	if err != nil {
		child.Close()
		return err
	}
	defer r.stop()
	d.forwards.manager.Store(r.ports)
	defer d.forwards.manager.Store(nil)
	select {
	case initComplete <- struct{}{}:
	case <-quit:
		return nil
	}
	select {
	case <-quit:
		return nil
	case <-r.ended:
		return r.err
	}
}

// awaitChild gives the connection of the child, nil without error if quit comes first.
func (d *parentDriver) awaitChild(quit <-chan struct{}) (child *net.UnixConn, err error) {
	accepted := make(chan struct{})
	go func() {
		child, err = d.accept()
		close(accepted)
	}()
	select {
	case <-accepted:
		return child, err
	case <-quit:
	}
	_ = d.listener.SetDeadline(time.Unix(1, 0))
	<-accepted
	_ = d.listener.SetDeadline(time.Time{})
	if child != nil {
		child.Close()
	}
	return nil, nil
}

// accept waits for the child.
func (d *parentDriver) accept() (*net.UnixConn, error) {
	for {
		conn, err := d.listener.AcceptUnix()
		if err != nil {
			return nil, fmt.Errorf("wait for child driver: %w", err)
		}
		if _, err = d.listener.Admit(conn); err == nil {
			err = greet(conn)
		}
		if err == nil {
			return conn, nil
		}
		d.log.Warn("Refused client that should be the child driver", "err", err)
		conn.Close()
	}
}

// greet reads the child's hello.
func greet(conn *net.UnixConn) error {
	if err := conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if b[0] != hello {
		return errRequest
	}
	return conn.SetReadDeadline(time.Time{})
}

// run is the data path of one run.
type run struct {
	child  *net.UnixConn
	engine *engine.Engine
	ports  *portfwd.Manager
	// ended is closed when the data path has ended, with err.
	ended chan struct{}
	err   error
	// cancel ends the helpers, which work for the data path.
	cancel  context.CancelFunc
	helpers sync.WaitGroup
}

// start makes the data path, which goes on until stop.
func (d *parentDriver) start(child *net.UnixConn) (*run, error) {
	o := d.forwards.Options()
	o.Log = d.log
	manager, err := portfwd.NewManager(o)
	if err != nil {
		return nil, err
	}
	sockets := netns.NewSockets(childSockets{child, d.log})
	e, err := engine.New(engine.Options{
		Config: &config.Config{
			V4: config.Family{Enabled: o.V4}, V6: config.Family{Enabled: o.V6}, TCP: o.TCP, UDP: o.UDP,
			Bypass:   fwd.Bypass{All: true, ShowClients: d.transparent},
			Timeouts: config.Timeouts{Refused: refusedFor},
		},
		Device: tap.Null{}, Sockets: sockets, Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	if _, err := manager.Start(portfwd.Rules{}); err != nil { // which opens nothing yet
		e.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{child: child, engine: e, ports: manager, cancel: cancel, ended: make(chan struct{})}
	manager.Attach(e)
	r.helpers.Go(func() { manager.Run(ctx, e) })
	r.helpers.Go(func() { sockets.Run(ctx.Done()) })
	go func() {
		r.err = e.Run()
		close(r.ended)
	}()
	return r, nil
}

// stop ends the data path, after at most a second for what is under way, and all that
// belongs to it.
func (r *run) stop() {
	r.engine.Stop()
	<-r.ended
	r.cancel()
	r.child.Close() // nobody waits for an answer any more
	r.helpers.Wait()
	r.engine.Close()
}

// haveIPv6 tells whether the kernel knows IPv6.
func haveIPv6() bool {
	fd, errno := sys.Socket(syscall.AF_INET6, syscall.SOCK_DGRAM, 0)
	if errno == 0 {
		sys.Close(fd)
	}
	return errno != syscall.EAFNOSUPPORT
}
