package portfwd

import (
	"errors"
	"syscall"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
)

// group is a rule of one table with its sockets.
type group struct {
	pif  fwd.Pif
	rule fwd.Rule
	// fds are the sockets by port, from rule.First on; notOpen for none.
	fds  []int32
	open int // sockets there are
	// failed is set when some wanted port could not be bound. rest is how many
	// rounds pass before the next try, patience their number after that.
	failed         bool
	rest, patience int
}

// maxPatience bounds the rounds between two tries.
const maxPatience = 63

const notOpen = int32(-1)

func newGroup(pif fwd.Pif, rule fwd.Rule) *group {
	g := &group{pif: pif, rule: rule, fds: make([]int32, int(rule.Last-rule.First)+1)}
	for i := range g.fds {
		g.fds[i] = notOpen
	}
	return g
}

// wants tells whether port number i of the rule is to be open, given the ports
// that something listens on in the target.
func (g *group) wants(i int, there *PortSet) bool {
	return !g.rule.Auto || there.Has(g.rule.Target+uint16(i))
}

func (g *group) listener(i int) config.Listener {
	return config.Listener{FD: int(g.fds[i]), Pif: g.pif, Rule: g.rule, Port: g.rule.First + uint16(i)}
}

// surplus takes the sockets out that are no longer wanted; all of them with a nil
// set. The caller closes them.
func (g *group) surplus(there *PortSet) (list []config.Listener) {
	for i, fd := range g.fds {
		if fd != notOpen && (there == nil || !g.wants(i, there)) {
			list = append(list, g.listener(i))
			g.fds[i] = notOpen
		}
	}
	g.open -= len(list)
	return list
}

// fill opens what is wanted and missing, in the namespace of the calling thread,
// and gives the sockets and the first failure. If strict, it stops there.
func (g *group) fill(there *PortSet, b binding, strict bool) (list []config.Listener, failed *ListenError) {
	b.rule, g.failed = g.rule, false
	for i, fd := range g.fds {
		if fd != notOpen || !g.wants(i, there) {
			continue
		}
		b.port = g.rule.First + uint16(i)
		fd, err := b.open()
		if err == nil {
			g.fds[i] = int32(fd)
			g.open++
			list = append(list, g.listener(i))
			continue
		}
		g.failed = true
		if failed == nil {
			failed = &ListenError{Pif: g.pif, Rule: g.rule, First: b.port, Last: b.port, Err: err}
		}
		if strict || outOfDescriptors(err) {
			break
		}
	}
	if failed != nil && g.rule.BestEffort {
		failed.First, failed.Last = g.rule.First, g.rule.Last
	}
	return list, failed
}

// outOfDescriptors tells whether further sockets would fail alike.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// forget notes that sockets of a list are closed.
func (g *group) forget(list []config.Listener) {
	for _, l := range list {
		g.fds[l.Port-g.rule.First] = notOpen
	}
	g.open -= len(list)
	g.failed = true
}

// due tells whether what failed may be tried again in this round, seldom if it
// goes on failing. Ports of auto rules are tried in every round: there are few
// of them, and somebody waits.
func (g *group) due() bool {
	switch {
	case !g.failed:
		return false
	case g.rule.Auto || g.rest == 0:
		g.patience = min(2*g.patience+1, maxPatience)
		g.rest = g.patience
		return true
	}
	g.rest--
	return false
}

// addPorts adds the open ports to a set.
func (g *group) addPorts(s *PortSet) {
	for i, fd := range g.fds {
		if fd != notOpen {
			s.Add(g.rule.First + uint16(i))
		}
	}
}
