package portfwd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// fakeEngine keeps listeners open without serving them.
type fakeEngine struct {
	t    testing.TB
	mu   sync.Mutex
	open map[int]config.Listener
	fail error // of AddListeners
}

func newFakeEngine(t testing.TB, list []config.Listener) *fakeEngine {
	e := &fakeEngine{t: t, open: map[int]config.Listener{}}
	for _, l := range list {
		e.open[l.FD] = l
	}
	t.Cleanup(func() {
		for fd := range e.open {
			sys.Close(fd)
		}
	})
	return e
}

func (e *fakeEngine) AddListeners(list []config.Listener) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range list {
		if _, ok := e.open[l.FD]; ok {
			e.t.Errorf("descriptor %d was added twice", l.FD)
		}
		if e.fail != nil {
			sys.Close(l.FD)
			continue
		}
		e.open[l.FD] = l
	}
	return e.fail
}

func (e *fakeEngine) RemoveListeners(list []config.Listener) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range list {
		if e.open[l.FD] == l {
			delete(e.open, l.FD)
			sys.Close(l.FD)
		}
	}
	return nil
}

// ports are the open listeners as "PIF PROTO PORT=>TARGET", sorted.
func (e *fakeEngine) ports() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []string
	for _, l := range e.open {
		list = append(list, fmt.Sprintf("%s %s %d=>%d", l.Pif, l.Rule.Proto, l.Port, l.TargetPort()))
	}
	slices.Sort(list)
	return list
}

// managed is a manager with its engine, in a "host" namespace, that of the test,
// and a target namespace.
type managed struct {
	*Manager
	t      testing.TB
	engine *fakeEngine
	ns     *netns.Thread
}

// inNamespace runs f on a thread of the target namespace.
func (m *managed) inNamespace(f func() error) {
	m.t.Helper()
	if err := m.ns.Do(f); err != nil {
		m.t.Fatal(err)
	}
}

// manage starts a manager; Run is not running, follow does its work.
func manage(t *testing.T, rules Rules) *managed {
	t.Helper()
	loUp(t)
	m := &managed{t: t, ns: newNamespace(t)}
	var err error
	m.Manager, err = NewManager(Options{
		V4: true, V6: true, TCP: true, UDP: true, Namespace: m.ns.Do, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := m.Start(rules)
	if err != nil {
		t.Fatal(err)
	}
	m.engine = newFakeEngine(t, list)
	m.Manager.engine = m.engine
	return m
}

// specRules turns specifications, by option, into rules.
func specRules(t testing.TB, specs ...string) (rules Rules) {
	t.Helper()
	for i := 0; i < len(specs); i += 2 {
		env := host()
		env.FromGuest = specs[i] == "-T" || specs[i] == "-U"
		if specs[i] == "-u" || specs[i] == "-U" {
			env.Proto = fwd.UDP
		}
		spec, err := ParseSpec(specs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		list, err := spec.Rules(env)
		if err != nil {
			t.Fatal(err)
		}
		pif := fwd.Host
		if env.FromGuest {
			pif = fwd.Splice
		}
		rules[pif] = append(rules[pif], list...)
	}
	return rules
}

func (m *managed) want(ports ...string) {
	m.t.Helper()
	slices.Sort(ports)
	if got := m.engine.ports(); !slices.Equal(got, ports) {
		m.t.Errorf("open: %q, want %q", got, ports)
	}
}

// service opens a port in the target namespace until the function returned is
// called.
func (m *managed) service(network, address string) (end func()) {
	m.t.Helper()
	var c interface{ Close() error }
	m.inNamespace(func() (err error) {
		if network == "udp" {
			c, err = net.ListenPacket(network, address)
		} else {
			c, err = net.Listen(network, address)
		}
		return err
	})
	m.t.Cleanup(func() { _ = c.Close() })
	return func() { _ = c.Close() }
}

func TestAutoFollowsServices(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "auto", "-u", "auto", "-T", "auto", "-U", "auto"))
		m.want()
		endTCP := m.service("tcp", "127.0.0.1:8080")
		endUDP := m.service("udp", "[::]:5353")
		m.service("tcp", "127.0.0.1:40000") // ephemeral
		hold(t, "tcp", "127.0.0.1:9000")
		m.follow()
		all := []string{
			"HOST TCP 8080=>8080", "HOST UDP 8080=>8080", "HOST UDP 5353=>5353",
			"SPLICE TCP 9000=>9000", "SPLICE UDP 9000=>9000",
		}
		m.want(all...)
		for range 3 { // neither direction follows the other
			m.follow()
			m.want(all...)
		}
		endTCP()
		endUDP()
		m.follow()
		m.want("SPLICE TCP 9000=>9000", "SPLICE UDP 9000=>9000")
	})
}

func TestServicesAtStartAreForwarded(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		hold(t, "tcp", "[::1]:9000")
		m := manage(t, specRules(t, "-T", "auto"))
		m.want("SPLICE TCP 9000=>9000")
	})
}

func TestAutoWithRemappedRange(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000-8010:9000-9010,auto"))
		m.service("tcp", "127.0.0.1:9003")
		m.service("tcp", "127.0.0.1:8003")
		m.follow()
		m.want("HOST TCP 8003=>9003")
	})
}

func TestAutoTriesBusyPortsAgain(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "auto"))
		l, err := net.Listen("tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		m.service("tcp", "127.0.0.1:8080")
		m.follow()
		m.want()
		_ = l.Close()
		m.follow()
		m.want("HOST TCP 8080=>8080")
	})
}

func TestExplicitRulesDoNotFollow(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000-8001", "-U", "53:5353"))
		m.want("HOST TCP 8000=>8000", "HOST TCP 8001=>8001", "SPLICE UDP 53=>5353")
		m.service("tcp", "127.0.0.1:8002")
		m.follow()
		m.want("HOST TCP 8000=>8000", "HOST TCP 8001=>8001", "SPLICE UDP 53=>5353")
		if !m.idle() {
			t.Error("there is nothing to follow, and yet the manager is not idle")
		}
	})
}

func TestSpliceListensOnLoopbackOfTheNamespace(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-T", "9000"))
		m.inNamespace(func() error {
			if !reaches(t, "127.0.0.1:9000") || !reaches(t, "[::1]:9000") {
				t.Error("the namespace's loopback does not reach the forward")
			}
			return nil
		})
		if reaches(t, "127.0.0.1:9000") {
			t.Error("the forward listens on the host")
		}
	})
}

func TestRunFollowsEverySecond(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "auto"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			m.Run(ctx, m.engine)
			close(ended)
		}()
		m.service("tcp", "127.0.0.1:8080")
		for end := time.Now().Add(10 * time.Second); len(m.engine.ports()) == 0 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		m.want("HOST TCP 8080=>8080")
		cancel()
		<-ended
	})
}

func TestFifteenThousandPortsAreFast(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		start := time.Now()
		m := manage(t, specRules(t, "-t", "10000-24999"))
		const limit = slowdown * time.Second
		if took := time.Since(start); took > limit {
			t.Errorf("opening 15,000 ports took %v, want at most %v", took, limit)
		}
		if n := len(m.engine.ports()); n != 15000 {
			t.Errorf("%d ports are open, want 15000", n)
		}
	})
}

func TestIdleScanIsCheap(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "auto", "-u", "auto", "-T", "auto", "-U", "auto"))
		if n := testing.AllocsPerRun(20, m.follow); n != 0 {
			t.Errorf("%v allocations per idle round, want none", n)
		}
		best := time.Hour
		for range 50 {
			start := time.Now()
			m.follow()
			best = min(best, time.Since(start))
		}
		if limit := scanEvery / 1000; best > limit {
			t.Errorf("an idle round takes %v, want at most %v, 0.1 %% of a core", best, limit)
		}
		t.Logf("an idle round takes %v", best)
	})
}
