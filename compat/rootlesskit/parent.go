package rootlesskit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/rootless-containers/rootlesskit/v3/pkg/api"
	"github.com/rootless-containers/rootlesskit/v3/pkg/port"

	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

const (
	// driverName is what Info says.
	driverName = "pasta"
	// socketName is that of the socket for the child, in the state directory.
	socketName = ".pasta-ports.sock"
)

// parentDriver publishes ports on the host. Its methods may be called by any
// goroutine, but one RunParentDriver at a time.
type parentDriver struct {
	log         *slog.Logger
	socketPath  string
	transparent bool
	// listener is where the child connects; it lives as long as the process.
	listener *ctlsock.Listener
	forwards current
	book     *ports.Book
}

// NewParentDriver gives the parent's side of the driver. It binds a socket in
// stateDir, which the child has to see under the same name. With sourceIPTransparent,
// TCP services on the child's loopback addresses see the addresses of clients. What
// goes wrong at run time is written to logWriter.
func NewParentDriver(logWriter io.Writer, stateDir string, sourceIPTransparent bool) (port.ParentDriver, error) {
	d := &parentDriver{
		log: newLog(logWriter), socketPath: filepath.Join(stateDir, socketName), transparent: sourceIPTransparent,
	}
	socket, err := ctlsock.Listen(d.socketPath)
	if err != nil {
		return nil, fmt.Errorf("bind socket %s for child driver: %w", d.socketPath, err)
	}
	if d.listener, err = ctlsock.NewListener(socket, nil); err != nil {
		return nil, err
	}
	d.book = ports.NewBook(&d.forwards, defaultChild)
	return d, nil
}

// Info tells what can be published.
func (d *parentDriver) Info(context.Context) (*api.PortDriverInfo, error) {
	return &api.PortDriverInfo{Driver: driverName, Protos: ports.Protos()}, nil
}

// OpaqueForChild is what RunChildDriver has to be given.
func (d *parentDriver) OpaqueForChild() map[string]string {
	m := map[string]string{socketKey: d.socketPath}
	if d.transparent {
		m[transparentKey] = "true"
	}
	return m
}

// AddPort publishes a port, which is open when it returns.
func (d *parentDriver) AddPort(_ context.Context, spec port.Spec) (*port.Status, error) {
	st, err := d.book.Add(ports.Spec(spec))
	if err != nil {
		return nil, err
	}
	return &port.Status{ID: st.ID, Spec: spec}, nil
}

// ListPorts gives the published ports by ID.
func (d *parentDriver) ListPorts(context.Context) (list []port.Status, err error) {
	for _, st := range d.book.List() {
		list = append(list, port.Status{ID: st.ID, Spec: port.Spec(st.Spec)})
	}
	return list, nil
}

// RemovePort closes a port: it is free when RemovePort returns. Connections go on.
func (d *parentDriver) RemovePort(_ context.Context, id int) error { return d.book.Remove(id) }

// defaultChild is where in the child a port leads whose specification does not say
// that: to the same loopback address, or else the usual one of the family.
func defaultChild(s ports.Spec) netip.Addr {
	parent, _ := netip.ParseAddr(s.ParentIP)
	parent = parent.Unmap()
	switch {
	case parent.IsLoopback():
		return parent
	case parent.Is6() || !parent.IsValid() && strings.HasSuffix(s.Proto, "6"):
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// errNotRunning is a change of ports outside RunParentDriver.
var errNotRunning = errors.New("port driver is not running")

// current are the forwards of the run that goes on, if one does.
type current struct {
	manager atomic.Pointer[portfwd.Manager]
}

// Options are those of every run.
func (c *current) Options() portfwd.Options {
	return portfwd.Options{
		V4: true, V6: haveIPv6(), TCP: true, UDP: true, MaxRules: portfwd.MaxListeners, AnyTarget: true,
	}
}

// Rules are the forwards.
func (c *current) Rules() (portfwd.Rules, uint64) {
	if m := c.manager.Load(); m != nil {
		return m.Rules()
	}
	return portfwd.Rules{}, 0
}

// Add adds a forward.
func (c *current) Add(pif fwd.Pif, rule fwd.Rule) error {
	if m := c.manager.Load(); m != nil {
		return m.Add(pif, rule)
	}
	return errNotRunning
}

// Remove removes a forward.
func (c *current) Remove(pif fwd.Pif, rule fwd.Rule) error {
	if m := c.manager.Load(); m != nil {
		return m.Remove(pif, rule)
	}
	return errNotRunning
}
