package vpnkit

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// resolver has the gateway's address lead to the host's resolver, for all guests, and
// follows when that changes. Any goroutine may call its methods.
type resolver struct {
	log *slog.Logger
	// applying is held while an engine is told, so that the last word is the latest.
	applying sync.Mutex

	mu      sync.Mutex
	host    netip.Addr // invalid: there is none
	engines map[*port]service.Engine
}

func newResolver(log *slog.Logger) *resolver {
	return &resolver{log: log, engines: map[*port]service.Engine{}}
}

// follow reads the file at path, and then whenever it changes, until ctx ends.
func (r *resolver) follow(ctx context.Context, path string) {
	conf, err := resolv.Read(path)
	if err != nil {
		r.log.Warn("no resolver of the host", "err", err)
	}
	r.set(conf)
	go resolv.Follow(ctx, path, r.set)
}

// set takes over what the file says: its first resolver, as all clients of the host
// do.
func (r *resolver) set(conf resolv.Conf) {
	r.mu.Lock()
	r.host = netip.Addr{}
	if len(conf.Servers) > 0 {
		r.host = conf.Servers[0]
	}
	var engines []service.Engine
	for _, e := range r.engines {
		engines = append(engines, e)
	}
	r.mu.Unlock()
	for _, e := range engines {
		r.apply(e)
	}
}

// apply tells e who the resolver is now. It waits for the engine's loop.
func (r *resolver) apply(e service.Engine) {
	r.applying.Lock()
	defer r.applying.Unlock()
	_ = e.SetDNSHosts(r.current(), netip.Addr{}) // fails at the end of the run only
}

// current is the resolver now.
func (r *resolver) current() netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.host
}

// started adds an engine that is about to run, with what its configuration says.
func (r *resolver) started(p *port, e service.Engine, configured netip.Addr) {
	r.mu.Lock()
	r.engines[p] = e
	late := r.host != configured
	r.mu.Unlock()
	if late {
		go r.apply(e)
	}
}

// ended forgets the engine of p.
func (r *resolver) ended(p *port) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.engines, p)
}
