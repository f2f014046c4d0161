package daemon

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/rootless-containers/rootlesskit/v3/pkg/api"

	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
	"github.com/pasta-net/pasta/compat/rootlesskit/rest"
	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// driverName is what the API says about network and ports.
const driverName = "pasta"

// openAPI makes the server for the socket of RootlessKit's API, if there is one. child
// is the process in the target namespace, 0 if not known. Processes outside of the
// host's network namespace are refused.
func (r *run) openAPI(socket *os.File, o *Options, child int) error {
	if socket == nil {
		return nil
	}
	path, err := filepath.Abs(socket.Name())
	if err != nil {
		return err
	}
	home, err := ctlsock.OwnHome()
	if err != nil {
		return err
	}
	s, err := rest.NewServer(socket, rest.Backend{Ports: ports.NewBook(r.ports, nil), Info: api.Info{
		Version: o.Version, StateDir: filepath.Dir(path), ChildPID: child, NetworkDriver: r.network,
		PortDriver: &api.PortDriverInfo{Driver: driverName, Protos: ports.Protos()},
	}}, home, r.log)
	if err == nil {
		r.servers = append(r.servers, s)
	}
	return err
}

// networkInfo tells how the guest is addressed.
func networkInfo(cfg *config.Config) *api.NetworkDriverInfo {
	n := &api.NetworkDriverInfo{Driver: driverName, IPv6: cfg.V6.Enabled && cfg.V6.Guest.IsValid()}
	for _, f := range []config.Family{cfg.V4, cfg.V6} {
		if n.ChildIP == nil && f.Guest.IsValid() {
			n.ChildIP = netIP(f.Guest)
		}
		for _, a := range f.DNS {
			n.DNS = append(n.DNS, netIP(a))
		}
	}
	return n
}

func netIP(a netip.Addr) net.IP { return a.AsSlice() }
