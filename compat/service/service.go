// Package service is what a personality hands to the daemon: one guest to be served
// by the process that the user started. It is the whole interface between the
// packages that read foreign command lines and the one that wires the core; pasta,
// which becomes several processes, has options of its own.
//
// A personality parses its words, fills in a Service, and gives it to a Runner, from
// the main goroutine. The daemon opens the link, binds the forwards, starts the
// servers, has the process confined, tells that it is ready, and moves packets until
// the run ends.
//
// Import level: compat.
package service

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/neigh"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/portfwd"
)

// Runner serves s and returns the exit status of the process. It writes what goes
// wrong to standard error.
type Runner func(s *Service) (exit int)

// Service is one guest to be served, in foreground. Nothing in it has happened yet:
// the functions are called by the Runner, in the order of the fields. An error of
// one ends the run with its text and status 1.
type Service struct {
	// Name is the program, for messages.
	Name string
	// Level is the least severe level that is logged.
	Level slog.Level
	// Config is the run configuration. The Runner adds what only the kernel knows:
	// the guest's MAC address, the listeners, the host's timeouts.
	Config config.Config

	// Stations are who has which address on the link; nil: we have all.
	Stations neigh.Stations

	// Open makes the link to the guest.
	Open func() (Link, error)
	// Forwards are the forwards of the start, FreeBind allows them addresses that
	// the host does not have.
	Forwards portfwd.Rules
	FreeBind bool
	// MaxRules bounds the forwards; 0: 255.
	MaxRules int
	// Servers make the servers that change forwards, or the run, while it lasts.
	Servers []NewServer
	// Confine gives up rights that moving packets does not need; nil: keeps them.
	Confine func() error
	// Ready tells the caller that everything is bound and configured; nil: nobody
	// waits.
	Ready func() error
	// Until blocks until the run is to end with status 0; nil: it goes on until the
	// link or a signal ends it.
	Until func()
}

// Link is an open link to the guest.
type Link struct {
	Device tap.Device
	// GuestMAC is the guest's address if known, else zero.
	GuestMAC [6]byte
}

// Run is what servers get hold of.
type Run struct {
	// Ports changes forwards.
	Ports *portfwd.Manager
	// Engine changes the rest.
	Engine Engine
	Log    *slog.Logger
}

// Engine is what may be changed of a running data path; see core/engine.
type Engine interface {
	// SetDNSHosts replaces the resolvers behind Family.DNSForward; an invalid
	// address: there is none.
	SetDNSHosts(v4, v6 netip.Addr) error
	// Wake has the loop do a turn: the link got frames to send from elsewhere.
	Wake()
}

// HubRunner serves the guests of h and returns the exit status of the process. It
// writes what goes wrong to standard error.
type HubRunner func(h *Hub) (exit int)

// Hub is a program whose guests come and go while it runs.
type Hub struct {
	// Name is the program, for messages.
	Name string
	// Level is the least severe level that is logged.
	Level slog.Level
	// Serve lets guests come and gives each to attach, on a goroutine of its own.
	// Its error ends the process.
	Serve func(attach Attach, log *slog.Logger) error
}

// Attach serves a guest until its link ends, and tells how it did (engine.ErrTap). The
// link is closed then.
type Attach func(g *Guest) error

// Guest is one guest of a hub.
type Guest struct {
	// Config is as that of a Service.
	Config config.Config
	Link   Link
	// Stations are who has which address on the link; nil: we have all.
	Stations neigh.Stations
	// Started is called before the first frame, and may not wait for the engine, which
	// does not run yet; nil: nobody needs it.
	Started func(Engine)
}

// NewServer makes a server, with the rights of the start: it opens files and binds
// sockets.
type NewServer func(Run) (Server, error)

// Server is something that goes on besides the data path.
type Server interface {
	// Serve returns when ctx ends. It runs on a goroutine of its own.
	Serve(ctx context.Context)
}
