package daemon

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rootless-containers/rootlesskit/v3/pkg/api"

	"github.com/pasta-net/pasta/core/config"
)

func TestNetworkInfo(t *testing.T) {
	v4 := config.Family{
		Enabled: true, Guest: netip.MustParseAddr("10.0.2.100"), DNS: []netip.Addr{netip.MustParseAddr("10.0.2.3")},
	}
	v6 := config.Family{
		Enabled: true, Guest: netip.MustParseAddr("fd00::100"), DNS: []netip.Addr{netip.MustParseAddr("fd00::3")},
	}
	tests := []struct {
		name string
		cfg  config.Config
		want api.NetworkDriverInfo
	}{
		{"both families", config.Config{V4: v4, V6: v6}, api.NetworkDriverInfo{
			Driver: "pasta", ChildIP: net.ParseIP("10.0.2.100"), IPv6: true,
			DNS: []net.IP{net.ParseIP("10.0.2.3"), net.ParseIP("fd00::3")},
		}},
		{"IPv6 only", config.Config{V6: v6}, api.NetworkDriverInfo{
			Driver: "pasta", ChildIP: net.ParseIP("fd00::100"), IPv6: true, DNS: []net.IP{net.ParseIP("fd00::3")},
		}},
		{"no interface", config.Config{V6: config.Family{Enabled: true}}, api.NetworkDriverInfo{Driver: "pasta"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(&tt.want, networkInfo(&tt.cfg)); diff != "" {
				t.Errorf("info (-want +got):\n%s", diff)
			}
		})
	}
}
