// Package fwd holds the pure mapping decisions of the translator: which
// host-side destination an outbound flow gets, which guest-side source an
// inbound flow shows, and which forward (configured port mapping) applies.
// Nothing here does I/O. Rules are values for any goroutine; a Map, which notes the
// guest's addresses, belongs to the event loop.
//
// Import level: above flow, tap and loop; below config.
package fwd

import (
	"fmt"
	"net/netip"
)

// Proto is the IP protocol number of a forward.
type Proto uint8

// The protocols that can be forwarded (IANA protocol numbers).
const (
	TCP Proto = 6
	UDP Proto = 17
)

// String returns the upper-case protocol name used in rule texts.
func (p Proto) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	}
	return fmt.Sprintf("IP protocol %d", uint8(p))
}

// Pif is the kind of interface that a forward listens on, and so the direction
// that it serves.
type Pif uint8

// The pifs of forwards.
const (
	// Host rules listen on the host, for connections towards the guest (-t, -u).
	Host Pif = iota
	// Splice rules listen on the loopback interface of the target namespace, for
	// connections to the host's loopback (-T, -U).
	Splice
	// NumPifs is the number of pifs.
	NumPifs
)

// Other is the pif on which flows of a listener on p end that bypass the tap.
func (p Pif) Other() Pif {
	if p == Host {
		return Splice
	}
	return Host
}

// String returns the name used in summaries, errors and by the control client.
func (p Pif) String() string {
	switch p {
	case Host:
		return "HOST"
	case Splice:
		return "SPLICE"
	}
	return fmt.Sprintf("pif %d", uint8(p))
}

// Rule is one configured forward: ports First to Last of a listening address
// are delivered to ports Target to Target+(Last-First) in the guest.
type Rule struct {
	Proto Proto
	// Listen is the listening address. The zero Addr is the wildcard: one
	// dual-stack socket when both families are enabled.
	Listen netip.Addr
	// IfName restricts the listener to one host interface (SO_BINDTODEVICE).
	// Empty: any interface.
	IfName string
	// First and Last are the listening ports, inclusive, host byte order.
	First, Last uint16
	// TargetAddr is the destination address shown to the guest. The zero
	// Addr stands for the guest's own address.
	TargetAddr netip.Addr
	// Target is the guest port that First maps to.
	Target uint16
	// BestEffort rules ignore ports that cannot be bound.
	BestEffort bool
	// Auto rules bind a port only while something listens on its target.
	Auto bool
}

// String gives the rule in the text form of summaries, errors and the control
// client: "PROTO [ADDR]%IF:FIRST-LAST  =>  TOADDR:FIRST-LAST ATTRS".
func (r Rule) String() string {
	listen := "*"
	if r.Listen.IsValid() {
		listen = r.Listen.String()
	}
	s := fmt.Sprintf("%s [%s]", r.Proto, listen)
	if r.IfName != "" {
		s += "%" + r.IfName
	}
	s += ":" + ports(r.First, r.Last) + "  =>  "
	if r.TargetAddr.IsValid() {
		s += r.TargetAddr.String() + ":"
	}
	s += ports(r.Target, r.Target+(r.Last-r.First)) + " "
	if r.BestEffort {
		s += "(best effort) "
	}
	if r.Auto {
		s += "(auto-scan) "
	}
	if r.BestEffort || r.Auto {
		s = s[:len(s)-1]
	}
	return s
}

func ports(first, last uint16) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}
