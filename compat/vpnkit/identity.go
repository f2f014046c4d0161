package vpnkit

import (
	"crypto/rand"
	"net/netip"
	"sync"

	"github.com/pasta-net/pasta/core/packet"
)

// maxGuests bounds how many guests are remembered.
const maxGuests = 1 << 16

// refusal is a reason why a client gets no link, in words that it may show.
type refusal string

// Error gives the words.
func (r refusal) Error() string { return string(r) }

const (
	errOutOfRange = refusal("Preferred IP address out of range.")
	errOther      = refusal("UUID already assigned to a different IP than the IP requested by the client")
	errNoAddress  = refusal("No IP addresses available.")
)

// guest is what a UUID stands for.
type guest struct {
	mac packet.MAC
	ip  netip.Addr
}

// guests remembers who has which addresses, for the life of the process. Any goroutine
// may call its methods.
type guests struct {
	net *network

	mu     sync.Mutex
	byUUID map[uuid]guest
	macs   map[packet.Addr]packet.MAC // by address, ours included
	next   netip.Addr                 // all addresses below are taken
}

// newGuests makes an empty list. Our own addresses are nobody else's.
func newGuests(n *network) *guests {
	g := &guests{net: n, byUUID: map[uuid]guest{}, macs: map[packet.Addr]packet.MAC{}, next: n.lowest}
	for _, a := range n.own() {
		g.macs[packet.AddrFrom(a)] = n.serverMAC
	}
	return g
}

// MAC implements neigh.Stations.
func (g *guests) MAC(a packet.Addr) (mac packet.MAC, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	mac, ok = g.macs[a]
	return mac, ok
}

// assign gives the guest that a client speaks for, a new one if need be. Errors are
// refusals.
func (g *guests) assign(c command) (guest, error) {
	if c.uuid == (uuid{}) {
		_, _ = rand.Read(c.uuid[:]) // never fails
	}
	if c.want.IsValid() && !g.net.inRange(c.want) {
		return guest{}, errOutOfRange
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old, known := g.byUUID[c.uuid]
	switch {
	case known && c.want.IsValid() && c.want != old.ip:
		return guest{}, errOther
	case known:
		return old, nil
	case c.want.IsValid() && g.taken(c.want):
		return guest{}, refusal("Preferred IP address " + c.want.String() + " already used.")
	case c.want.IsValid():
		return g.add(c.uuid, c.want)
	}
	return g.add(c.uuid, g.lowestFree())
}

func (g *guests) taken(a netip.Addr) bool {
	_, ok := g.macs[packet.AddrFrom(a)]
	return ok
}

// lowestFree gives an invalid address if there is none.
func (g *guests) lowestFree() netip.Addr {
	for g.next.IsValid() && g.taken(g.next) {
		g.next = g.next.Next()
	}
	if !g.next.IsValid() || !g.net.inRange(g.next) {
		return netip.Addr{}
	}
	return g.next
}

func (g *guests) add(u uuid, ip netip.Addr) (guest, error) {
	if !ip.IsValid() || len(g.byUUID) == maxGuests {
		return guest{}, errNoAddress
	}
	added := guest{mac: g.mac(uint32(len(g.byUUID) + 1)), ip: ip}
	g.byUUID[u] = added
	g.macs[packet.AddrFrom(ip)] = added.mac
	return added, nil
}

// mac makes the address of guest number n: unicast, locally administered, and not that
// of the server.
func (g *guests) mac(n uint32) packet.MAC {
	m := packet.MAC{0x02, 0x50, 0, byte(n >> 16), byte(n >> 8), byte(n)}
	if m == g.net.serverMAC {
		m[2] = 1
	}
	return m
}
