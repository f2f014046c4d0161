package ports

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// Spec is one port to publish. Fields and JSON are those of port.Spec in RootlessKit,
// so that values convert; that package itself brings a web server along.
type Spec struct {
	// Proto is "tcp" or "udp", for both families where the parent's address is any,
	// or one of them with "4" or "6" behind it.
	Proto string `json:"proto,omitempty"`
	// ParentIP is where to listen; empty: any address.
	ParentIP string `json:"parentIP,omitempty"`
	// ParentPort is the port there, 1 to 65535.
	ParentPort int `json:"parentPort,omitempty"`
	// ChildPort is the port to connect to, 1 to 65535.
	ChildPort int `json:"childPort,omitempty"`
	// ChildIP is the address to connect to; empty: the default of the run.
	ChildIP string `json:"childIP,omitempty"`
}

// Status is a published port.
type Status struct {
	// ID is positive and names the port for the life of the list.
	ID int `json:"id"`
	// Spec is as it was asked for.
	Spec Spec `json:"spec"`
}

// Protos are the protocols that can be published.
func Protos() []string { return []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"} }

// validate finds what RootlessKit refuses whatever the driver (portutil).
func (s Spec) validate() error {
	switch base, _ := s.proto(); {
	case base != "tcp" && base != "udp" && base != "sctp":
		return fmt.Errorf("unknown proto: %q", s.Proto)
	case s.ParentIP != "" && net.ParseIP(s.ParentIP) == nil:
		return fmt.Errorf("invalid ParentIP: %q", s.ParentIP)
	case s.ChildIP != "" && net.ParseIP(s.ChildIP) == nil:
		return fmt.Errorf("invalid ChildIP: %q", s.ChildIP)
	case s.ParentPort <= 0 || s.ParentPort > 65535:
		return fmt.Errorf("invalid ParentPort: %d", s.ParentPort)
	case s.ChildPort <= 0 || s.ChildPort > 65535:
		return fmt.Errorf("invalid ChildPort: %d", s.ChildPort)
	case base == "sctp":
		return fmt.Errorf("unsupported port protocol %s", s.Proto)
	}
	return nil
}

// proto splits the protocol into its name and the digit of its family, if it has one.
func (s Spec) proto() (base, family string) {
	base = strings.TrimRight(s.Proto, "46")
	family = s.Proto[len(base):]
	if len(family) > 1 {
		return "", ""
	}
	return base, family
}

// errFamily is a protocol whose family is not that of its address.
var errFamily = errors.New("no suitable address")

// listen gives the address to listen on: invalid for any of both families. It follows
// Go's net.Listen, where "any" means both families unless the protocol names one.
func (s Spec) listen(o portfwd.Options) (netip.Addr, error) {
	addr := parse(s.ParentIP)
	_, family := s.proto()
	switch {
	case family == "4" && !addr.IsValid():
		return netip.IPv4Unspecified(), nil
	case family == "6" && !addr.IsValid():
		return netip.IPv6Unspecified(), nil
	case family == "4" && !addr.Is4(), family == "6" && addr.Is4():
		return addr, fmt.Errorf("listen %s: address %s: %w", s.Proto, addr, errFamily)
	case addr.IsValid() && (family != "" || !addr.IsUnspecified()):
		return addr, nil
	case !o.V6:
		return netip.IPv4Unspecified(), nil
	case !o.V4:
		return netip.IPv6Unspecified(), nil
	}
	return netip.Addr{}, nil
}

// parse reads a valid address; an IPv4-mapped one is an IPv4 one, as for Go's net.
func parse(text string) netip.Addr {
	addr, _ := netip.ParseAddr(text)
	return addr.Unmap()
}

// rule gives the forward for a valid s. child is the target address of the run for
// specifications without; invalid: the guest's own.
func (s Spec) rule(o portfwd.Options, child netip.Addr) (r fwd.Rule, err error) {
	r = fwd.Rule{
		Proto: fwd.TCP, First: uint16(s.ParentPort), Last: uint16(s.ParentPort), Target: uint16(s.ChildPort), TargetAddr: child,
	}
	if base, _ := s.proto(); base == "udp" {
		r.Proto = fwd.UDP
	}
	if r.Listen, err = s.listen(o); err != nil {
		return r, err
	}
	if ip := parse(s.ChildIP); ip.IsValid() && !ip.IsUnspecified() {
		r.TargetAddr = ip
	}
	if r.TargetAddr.IsValid() && !r.Listen.IsValid() && !o.AnyTarget {
		// Clients of the other family could not be shown to the guest.
		r.Listen = netip.IPv6Unspecified()
		if r.TargetAddr.Is4() {
			r.Listen = netip.IPv4Unspecified()
		}
	}
	return r, nil
}

// parentAddr is the parent's side in the words of Go's net.
func (s Spec) parentAddr() string {
	return net.JoinHostPort(s.ParentIP, strconv.Itoa(s.ParentPort))
}
