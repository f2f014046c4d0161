package ports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// Forwards are those of a run, see portfwd.Manager.
type Forwards interface {
	Options() portfwd.Options
	Rules() (portfwd.Rules, uint64)
	Add(pif fwd.Pif, rule fwd.Rule) error
	Remove(pif fwd.Pif, rule fwd.Rule) error
}

// Book is the list of published ports of a run. Other forwards of it are not listed,
// and a port whose forward somebody else removes is listed no more.
type Book struct {
	forwards Forwards
	child    func(Spec) netip.Addr

	mu   sync.Mutex // guards what follows
	last int        // ID given out
	open map[int]entry
}

// entry is a published port with its forward.
type entry struct {
	spec Spec
	rule fwd.Rule
}

// NewBook makes an empty list. child tells the target address for specifications
// without; nil: the guest's own.
func NewBook(forwards Forwards, child func(Spec) netip.Addr) *Book {
	if child == nil {
		child = func(Spec) netip.Addr { return netip.Addr{} }
	}
	return &Book{forwards: forwards, child: child, open: make(map[int]entry)}
}

// Add publishes a port, which is open when it returns. For a port in use the error is
// EADDRINUSE; the words are for the user.
func (b *Book) Add(s Spec) (Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sync()
	if err := s.validate(); err != nil {
		return Status{}, err
	}
	for id, e := range b.open {
		if e.spec.Proto == s.Proto && e.spec.ParentIP == s.ParentIP && e.spec.ParentPort == s.ParentPort {
			return Status{}, fmt.Errorf("conflict with ID %d", id)
		}
	}
	rule, err := s.rule(b.forwards.Options(), b.child(s))
	if err != nil {
		return Status{}, err
	}
	if err := b.forwards.Add(fwd.Host, rule); err != nil {
		return Status{}, s.worded(err)
	}
	b.last++
	b.open[b.last] = entry{spec: s, rule: rule}
	return Status{ID: b.last, Spec: s}, nil
}

// worded puts an error of opening the port of s in the words of Go's net, which
// callers look for.
func (s Spec) worded(err error) error {
	var failed *portfwd.ListenError
	var conflict *portfwd.ConflictError
	switch {
	case errors.As(err, &conflict):
		old := strings.TrimSpace(conflict.Old.String())
		return fmt.Errorf("%w by forward %s", s.bindError(syscall.EADDRINUSE), old)
	case !errors.As(err, &failed):
		return err
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot expose privileged port %d, you can add 'net.ipv4.ip_unprivileged_port_start=%d' "+
			"to /etc/sysctl.conf, or choose a larger port number: %w", s.ParentPort, s.ParentPort, s.bindError(failed.Err))
	}
	return s.bindError(failed.Err)
}

func (s Spec) bindError(err error) error {
	return fmt.Errorf("listen %s %s: bind: %w", s.Proto, s.parentAddr(), err)
}

// List gives the published ports by ID.
func (b *Book) List() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sync()
	list := make([]Status, 0, len(b.open))
	for id, e := range b.open {
		list = append(list, Status{ID: id, Spec: e.spec})
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Remove closes a port: it is free when Remove returns. Connections go on.
func (b *Book) Remove(id int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sync()
	e, ok := b.open[id]
	if !ok {
		return fmt.Errorf("unknown id: %d", id)
	}
	if err := b.forwards.Remove(fwd.Host, e.rule); err != nil {
		return err
	}
	delete(b.open, id)
	return nil
}

// sync forgets ports whose forward somebody else has removed.
func (b *Book) sync() {
	rules, _ := b.forwards.Rules()
	there := make(map[fwd.Rule]bool, len(rules[fwd.Host]))
	for _, r := range rules[fwd.Host] {
		there[r] = true
	}
	maps.DeleteFunc(b.open, func(_ int, e entry) bool { return !there[e.rule] })
}
