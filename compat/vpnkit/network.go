package vpnkit

import (
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
)

const (
	// leaseSec is the time of DHCP leases in seconds: as good as for ever, for clients
	// that count it in a signed number.
	leaseSec = 1<<31 - 1
	// udpTimeout is how long a flow may be idle.
	udpTimeout = time.Minute
)

// network is the addresses that guests find.
type network struct {
	mtu int
	// gateway is also the resolver and the DHCP server. host stands for the host's
	// loopback; invalid: nothing does.
	gateway, host netip.Addr
	// lowest to highest are for guests.
	lowest, highest netip.Addr
	serverMAC       packet.MAC
}

// check finds what cannot work.
func (n *network) check() error {
	switch {
	case n.highest.Less(n.lowest):
		return fmt.Errorf("--highest-ip %s is below --lowest-ip %s", n.highest, n.lowest)
	case n.gateway == n.host:
		return fmt.Errorf("--gateway-ip and --host-ip are both %s", n.gateway)
	}
	return nil
}

// own lists our addresses.
func (n *network) own() []netip.Addr {
	if n.host.IsValid() {
		return []netip.Addr{n.gateway, n.host}
	}
	return []netip.Addr{n.gateway}
}

// inRange tells whether a is one for guests.
func (n *network) inRange(a netip.Addr) bool { return !a.Less(n.lowest) && !n.highest.Less(a) }

// prefixLen is that of the smallest subnet with the gateway and all guests.
func (n *network) prefixLen() int {
	differ := (number(n.gateway) ^ number(n.highest)) | (number(n.gateway) ^ number(n.lowest))
	return bits.LeadingZeros32(differ)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// config is the run configuration for one guest; resolver is the host's, invalid for
// none.
func (n *network) config(g guest, resolver netip.Addr) config.Config {
	return config.Config{
		MTU: n.mtu, OurMAC: n.serverMAC, GuestMAC: g.mac,
		TCP: true, UDP: true, ICMP: true, Refusal: fwd.RefuseReset,
		V4: config.Family{
			Enabled: true, Guest: g.ip, PrefixLen: n.prefixLen(), Gateway: n.gateway, Our: n.gateway,
			MapHostLoopback: n.host, Own: n.own(),
			DNSForward: n.gateway, DNSHost: resolver, DNS: []netip.Addr{n.gateway},
		},
		Link: config.Link{
			Quiet: true, DHCP: true, TypeFirst: true, SendDNS: true, SendSearch: true,
			LeaseSec: leaseSec, NTP: []netip.Addr{n.gateway}, Broadcast: true,
		},
		Timeouts: config.Timeouts{UDP: udpTimeout, UDPStream: udpTimeout},
	}
}
