package daemon

import (
	"log/slog"
	"os"
	"time"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/engine"
	"github.com/pasta-net/pasta/core/neigh"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/portfwd"
)

// guest is what the data path of one guest is made of, whatever program name and
// process it is served under.
type guest struct {
	cfg  config.Config
	link service.Link
	// ns is a thread in the guest's network namespace, if that is in reach: for
	// listeners there, services to follow, and the bypass.
	ns *netns.Thread
	// stations are who has which address on the link; nil: we have all.
	stations   neigh.Stations
	forwards   portfwd.Rules
	freeBind   bool
	maxRules   int // 0: 255
	capture    *os.File
	statsEvery time.Duration
}

// wire binds the forwards and makes the engine. After an error the process ends, and
// with it what was opened.
func (g *guest) wire(log *slog.Logger) (*run, error) {
	g.cfg.GuestMAC = g.link.GuestMAC
	hostTimeouts(&g.cfg.Timeouts)
	o := engine.Options{
		Config: &g.cfg, Device: g.link.Device, Log: log, Stations: g.stations, Pcap: g.capture, StatsEvery: g.statsEvery,
	}
	var sockets *netns.Sockets
	if g.ns != nil {
		sockets = netns.NewSockets(g.ns)
		o.Sockets = sockets
	}
	ports, err := g.bind(log)
	if err != nil {
		return nil, err
	}
	path, err := engine.New(o)
	if err != nil {
		return nil, err
	}
	if sockets != nil {
		go sockets.Run(nil) // for as long as the process lives
	}
	return &run{Engine: path, ports: ports, log: log}, nil
}

// bind opens the listeners of the forwards into the configuration.
func (g *guest) bind(log *slog.Logger) (*portfwd.Manager, error) {
	o := portfwd.Options{
		V4: g.cfg.V4.Enabled, V6: g.cfg.V6.Enabled, TCP: g.cfg.TCP, UDP: g.cfg.UDP,
		Bypass: g.cfg.Bypass, FreeBind: g.freeBind, MaxRules: g.maxRules, Log: log,
	}
	if g.ns != nil {
		o.Namespace = g.ns.Do
	}
	ports, err := portfwd.NewManager(o)
	if err != nil {
		return nil, err
	}
	g.cfg.Listen, err = ports.Start(g.forwards)
	return ports, err
}
