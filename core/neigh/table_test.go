package neigh

import (
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

func TestTable(t *testing.T) {
	gateway, mac := netip.MustParseAddr("10.0.2.2"), packet.MAC{0x52, 0x55, 10, 0, 2, 2}
	table := Table{}
	table.Add(gateway, mac)
	for _, tt := range []struct {
		addr string
		want packet.MAC
		ok   bool
	}{{"10.0.2.2", mac, true}, {"10.0.2.3", packet.MAC{}, false}, {"::a00:202", packet.MAC{}, false}} {
		got, ok := table.MAC(packet.AddrFrom(netip.MustParseAddr(tt.addr)))
		if got != tt.want || ok != tt.ok {
			t.Errorf("MAC(%s) = %x, %v, want %x, %v", tt.addr, got, ok, tt.want, tt.ok)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.MAC(packet.AddrFrom(gateway)) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
