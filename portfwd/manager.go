package portfwd

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
)

// scanEvery is how often a manager looks for new services, and tries again to
// bind what it could not.
const scanEvery = time.Second

// Rules are the forwards of both tables, by pif.
type Rules [fwd.NumPifs][]fwd.Rule

// Options is what forwarding depends on besides the rules.
type Options struct {
	// V4, V6 tell which families are enabled, TCP, UDP which protocols.
	V4, V6, TCP, UDP bool
	// FreeBind allows listening addresses that the host does not have.
	FreeBind bool
	// Ephemeral is the host's range of ephemeral ports, for specifications that
	// come at run time. The zero value stands for what NewManager reads.
	Ephemeral Range
	// Namespace runs a function on a thread in the target network namespace. Nil:
	// there is no such namespace, hence no Splice table and no auto-detection.
	Namespace func(func() error) error
	// Bypass is how flows of the rules are carried, if any of them past the tap.
	Bypass fwd.Bypass
	// MaxRules bounds the rules of each table; 0: 255.
	MaxRules int
	// AnyTarget allows target addresses of the other family than the listener's: where
	// all flows go from socket to socket, none has to be translated.
	AnyTarget bool
	// Log is told what goes wrong at run time.
	Log *slog.Logger
}

// Engine serves listeners; see core/engine. The manager gives it sockets and
// takes them back.
type Engine interface {
	AddListeners([]config.Listener) error
	RemoveListeners([]config.Listener) error
}

// Manager owns the rule tables of a run and keeps the sockets that are open in
// agreement with them: it binds and closes, and for auto rules follows what
// listens in the target. Its methods may be called by any goroutine.
type Manager struct {
	o Options
	// scanners look at the side that the rules of a pif lead to; nil: none.
	scanners [fwd.NumPifs]*Scanner
	// kick has Run reconsider whether there is something to follow.
	kick chan struct{}

	mu sync.Mutex // guards what follows
	// rules are the tables, generation counts their changes.
	rules      Rules
	generation uint64
	groups     []*group
	// services are the ports that the auto rules of a pif lead to; own are those
	// that its listeners have.
	services, own [fwd.NumPifs]Listening
	found, wanted Listening // scratch
	scanFails     bool
	// lingering are UDP ports that flows may use which outlived a listener.
	lingering [fwd.NumPifs]PortSet
	engine    Engine
}

// NewManager makes a manager without rules. It opens what scanning needs, the
// host's side in the namespace of the calling thread.
func NewManager(o Options) (*Manager, error) {
	if o.Ephemeral == (Range{}) {
		o.Ephemeral = HostEphemeral()
	}
	m := &Manager{o: o, kick: make(chan struct{}, 1)}
	if o.Namespace == nil {
		return m, nil
	}
	var err error
	// Rules that listen on the host lead to services in the namespace.
	if m.scanners[fwd.Splice], err = NewScanner(); err != nil {
		return nil, err
	}
	err = o.Namespace(func() (err error) {
		m.scanners[fwd.Host], err = NewScanner()
		return err
	})
	if err != nil {
		m.scanners[fwd.Splice].Close()
		return nil, err
	}
	return m, nil
}

// Start opens the listeners of the rules at the begin of a run; the caller hands
// them to the engine. All ports of a rule are opened or Start fails with a
// *ListenError, of a best-effort rule one is enough; or with a *LimitError, or
// with what Check finds. After an error nothing is open.
func (m *Manager) Start(rules Rules) ([]config.Listener, error) {
	if err := Check(rules, m.o); err != nil {
		return nil, err
	}
	raiseLimit()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules, m.groups = rules, m.regroup(rules)
	m.scan()
	var all []config.Listener
	for _, g := range m.groups {
		list, failed := m.fill(g, true)
		all = append(all, list...)
		if err := fatal(g, failed, rules); err != nil {
			m.groups = nil
			closeAll(all)
			return nil, err
		}
	}
	return all, nil
}

// fatal gives the error of a group that keeps a run from starting, if any. An
// auto rule follows services that come and go, and so never does.
func fatal(g *group, failed *ListenError, rules Rules) error {
	switch {
	case failed == nil || g.rule.Auto:
		return nil
	case outOfDescriptors(failed.Err):
		return limitError(rules, failed)
	case g.rule.BestEffort && g.open > 0:
		return nil
	}
	return failed
}

// Attach makes changes possible before Run, which does it too, is under way. The
// engine has to run, or be about to.
func (m *Manager) Attach(engine Engine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.engine = engine
}

// Run follows services and tries again what failed, until ctx ends. engine serves
// what Start opened; from now on it is given the changes.
func (m *Manager) Run(ctx context.Context, engine Engine) {
	m.Attach(engine)
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		next := tick.C
		if m.idle() {
			next = nil // and so the process sleeps
		}
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-next:
			m.mu.Lock()
			m.follow()
			m.mu.Unlock()
		}
	}
}

// idle tells whether there is nothing to follow and nothing to try again.
func (m *Manager) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(m.groups, func(g *group) bool { return g.rule.Auto || g.failed })
}

// follow brings the sockets in line with what listens now.
func (m *Manager) follow() {
	changed := m.scan()
	if changed {
		m.closeSurplus()
	}
	for _, g := range m.groups {
		if changed && g.rule.Auto || g.due() {
			_ = m.serve(g) // and again in a later round
		}
	}
}

// closeSurplus closes the listeners whose services are gone.
func (m *Manager) closeSurplus() {
	for _, g := range m.groups {
		if g.rule.Auto {
			m.close(g.surplus(m.servicesOf(g)))
		}
	}
}

// regroup gives the groups for rules: those there are for rules that stay.
func (m *Manager) regroup(rules Rules) (groups []*group) {
	for pif, list := range rules {
		for _, r := range list {
			i := slices.IndexFunc(m.groups, func(g *group) bool { return g.pif == fwd.Pif(pif) && g.rule == r })
			if i < 0 {
				groups = append(groups, newGroup(fwd.Pif(pif), r))
			} else {
				groups = append(groups, m.groups[i])
			}
		}
	}
	return groups
}

// serve opens what g misses and hands it to the engine. It gives the first
// failure.
func (m *Manager) serve(g *group) error {
	list, failed := m.fill(g, false)
	if len(list) > 0 {
		g.patience = 0
		if err := m.engine.AddListeners(list); err != nil {
			_ = m.engine.RemoveListeners(list) // those that it took
			g.forget(list)
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return nil
}

// fill opens what g misses, in the namespace that its sockets belong in.
func (m *Manager) fill(g *group, strict bool) (list []config.Listener, failed *ListenError) {
	b := binding{v4: m.o.V4, v6: m.o.V6, freeBind: m.o.FreeBind && g.pif == fwd.Host, maxFD: maxListenerFD(m.listeners() + len(g.fds))}
	if g.rule.Proto == fwd.UDP {
		b.shared = m.shared(g)
	}
	strict = strict && !g.rule.BestEffort && !g.rule.Auto
	if g.pif == fwd.Host {
		return g.fill(m.servicesOf(g), b, strict)
	}
	_ = m.o.Namespace(func() error {
		list, failed = g.fill(m.servicesOf(g), b, strict)
		return nil
	})
	return list, failed
}

// listeners counts the open ones.
func (m *Manager) listeners() (n int) {
	for _, g := range m.groups {
		n += g.open
	}
	return n
}

// close has the engine close listeners.
func (m *Manager) close(list []config.Listener) {
	for _, l := range list {
		if l.Rule.Proto == fwd.UDP {
			m.lingering[l.Pif].Add(l.Port)
		}
	}
	if len(list) > 0 {
		_ = m.engine.RemoveListeners(list) // after the end of the run it has closed them
	}
}

func closeAll(list []config.Listener) {
	for _, l := range list {
		sys.Close(l.FD)
	}
}
