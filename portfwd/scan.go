package portfwd

import (
	"fmt"
	"syscall"
)

// Listening are the ports of one network namespace that a service has opened,
// whatever their address and family.
type Listening struct {
	// TCP are the ports of listening sockets, UDP those of bound sockets that
	// are not connected.
	TCP, UDP PortSet
}

// States of sockets in the kernel (include/net/tcp_states.h), which UDP shares.
const (
	stateClose  = 7
	stateListen = 10
)

// A source is one list of sockets, by family and protocol. The order is that of
// the names in procNames.
type source struct {
	family, proto uint8
	// state is that of the sockets we look for.
	state uint8
}

func sources() [4]source {
	return [4]source{
		{syscall.AF_INET, syscall.IPPROTO_TCP, stateListen},
		{syscall.AF_INET6, syscall.IPPROTO_TCP, stateListen},
		{syscall.AF_INET, syscall.IPPROTO_UDP, stateClose},
		{syscall.AF_INET6, syscall.IPPROTO_UDP, stateClose},
	}
}

// ports is the set that a source belongs to.
func (l *Listening) ports(s source) *PortSet {
	if s.proto == syscall.IPPROTO_TCP {
		return &l.TCP
	}
	return &l.UDP
}

// Scanner lists the listening ports of the network namespace that it was made
// in. Scanning needs no rights, no file system, and does not allocate. One
// goroutine at a time may use it.
type Scanner struct {
	lister lister
	lists  [4]source
}

// lister reads one list of sockets. They are asked of the kernel by sock_diag(7),
// which gives exactly the sockets that we look for; where the kernel is built
// without, they are read from /proc/net, which costs a walk through the hash
// table of all connections of the machine: milliseconds every second on one
// with much memory (BenchmarkScan).
type lister interface {
	// list adds the ports of a source to a set: at least those that are wanted, all
	// if that is nil. It is not empty.
	list(s source, wanted, into *PortSet) error
	close()
}

// NewScanner makes a scanner of the calling thread's network namespace.
func NewScanner() (*Scanner, error) {
	s := &Scanner{lists: sources()}
	diag, err := newDiag()
	if err == nil {
		s.lister = diag
		if err = s.Scan(new(Listening), nil); err == nil {
			return s, nil
		}
		diag.close()
	}
	if s.lister, err = newProcNet("/proc/thread-self/net"); err != nil {
		return nil, fmt.Errorf("scan ports: %w", err)
	}
	return s, nil
}

// Scan replaces l by what listens now on ports that are wanted, or on any port with nil.
// On error l is incomplete.
func (s *Scanner) Scan(l, wanted *Listening) error {
	*l = Listening{}
	for _, src := range s.lists {
		var ports *PortSet
		if wanted != nil {
			if ports = wanted.ports(src); *ports == (PortSet{}) {
				continue
			}
		}
		if err := s.lister.list(src, ports, l.ports(src)); err != nil {
			return err
		}
	}
	if wanted != nil {
		l.TCP.Intersect(&wanted.TCP)
		l.UDP.Intersect(&wanted.UDP)
	}
	return nil
}

// Close releases the descriptors.
func (s *Scanner) Close() { s.lister.close() }
