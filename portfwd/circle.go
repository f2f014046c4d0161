package portfwd

import (
	"fmt"
	"net/netip"

	"github.com/pasta-net/pasta/core/fwd"
)

// hops tells for each port that rules of one pif listen on, on loopback addresses of
// one family, to which port of the other side's loopback they lead; 0: nowhere.
type hops [1 << 16]uint16

// noCircle refuses rules by which a connection comes back to the port that it came
// from, by way of both tables: it would go round until no descriptor is left. Auto
// rules follow only what others listen on.
func noCircle(rules Rules, o Options) error {
	if !o.Bypass.Inbound || len(rules[fwd.Host]) == 0 || len(rules[fwd.Splice]) == 0 {
		return nil
	}
	for _, proto := range []fwd.Proto{fwd.TCP, fwd.UDP} {
		for _, local := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
			there, ok := hopsOf(rules[fwd.Host], proto, local, o.Bypass.KeepsLoopback())
			if !ok {
				continue
			}
			back, ok := hopsOf(rules[fwd.Splice], proto, local, true)
			if !ok {
				continue
			}
			if port := circle(there, back); port != 0 {
				return &RuleError{
					Rule:   ruleOf(rules[fwd.Host], proto, port),
					Reason: fmt.Sprintf("Forward of %s port %d leads back to itself", proto, port),
				}
			}
		}
	}
	return nil
}

// hopsOf follows the rules of proto for clients that ask for a loopback address of the
// family of local; ok is false if none leads to the other side's loopback. keeps tells
// whether rules without target address do.
func hopsOf(rules []fwd.Rule, proto fwd.Proto, local netip.Addr, keeps bool) (h *hops, ok bool) {
	for _, r := range rules {
		if r.Proto != proto || r.Auto || !listensOnLoopback(r.Listen, local) {
			continue
		}
		if toLoopback := r.TargetAddr.IsLoopback() || !r.TargetAddr.IsValid() && keeps; !toLoopback {
			continue
		}
		if h == nil {
			h = new(hops)
		}
		for port := int(r.First); port <= int(r.Last); port++ {
			h[port] = r.Target + uint16(port-int(r.First))
		}
	}
	return h, h != nil
}

// listensOnLoopback tells whether a listener at a gets connections to loopback addresses
// of the family of local.
func listensOnLoopback(a, local netip.Addr) bool {
	return !a.IsValid() || a.Is4() == local.Is4() && (a.IsUnspecified() || a.IsLoopback())
}

// circle finds a port from which there and back, as often as it takes, lead to itself;
// 0: none.
func circle(there, back *hops) uint16 {
	var walk hops // in which walk a port was met: the one that began at this port
	for start := 1; start < len(walk); start++ {
		port := uint16(start)
		for port != 0 && walk[port] == 0 {
			walk[port] = uint16(start)
			port = back[there[port]]
		}
		if port != 0 && walk[port] == uint16(start) {
			return port
		}
	}
	return 0
}

func ruleOf(rules []fwd.Rule, proto fwd.Proto, port uint16) fwd.Rule {
	for _, r := range rules {
		if r.Proto == proto && !r.Auto && r.First <= port && port <= r.Last {
			return r
		}
	}
	return fwd.Rule{}
}
