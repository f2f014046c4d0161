package daemon

import (
	"context"
	"log/slog"
	"os"

	"github.com/rootless-containers/rootlesskit/v3/pkg/api"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/control"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// run is the data path with what changes its forwards while it runs.
type run struct {
	*engine.Engine
	ports *portfwd.Manager
	log   *slog.Logger
	// servers change the run while it lasts.
	servers []service.Server
	// network tells clients of the API about the guest.
	network *api.NetworkDriverInfo
}

// Run moves packets until Stop, nil, or until the tap fails.
func (r *run) Run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.ports.Attach(r.Engine) // before servers ask for changes
	go r.ports.Run(ctx, r.Engine)
	for _, s := range r.servers {
		go s.Serve(ctx)
	}
	return r.Engine.Run()
}

// openControl makes the server for the control socket, if there is one. Processes
// outside of the host's network namespace are refused.
func (r *run) openControl(socket *os.File) error {
	if socket == nil {
		return nil
	}
	r.log.Debug("Configuration socket: " + socket.Name())
	home, err := ctlsock.OwnHome()
	if err != nil {
		return err
	}
	s, err := control.NewServer(socket, r.ports, home, r.log)
	if err == nil {
		r.servers = append(r.servers, s)
	}
	return err
}
