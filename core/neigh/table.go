package neigh

import (
	"net/netip"

	"github.com/pasta-net/pasta/core/packet"
)

// Table are stations that never change.
type Table map[packet.Addr]packet.MAC

var _ Stations = Table{}

// Add enters a station.
func (t Table) Add(a netip.Addr, mac [6]byte) { t[packet.AddrFrom(a)] = mac }

// MAC implements Stations.
func (t Table) MAC(a packet.Addr) (mac packet.MAC, ok bool) {
	mac, ok = t[a]
	return mac, ok
}
