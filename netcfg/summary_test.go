package netcfg

import (
	"path/filepath"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
)

func TestSummary(t *testing.T) {
	mac := [6]byte{0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55}
	inbound := []fwd.Rule{{Proto: fwd.TCP, First: 8080, Last: 8080, Target: 8080}}
	splice := []fwd.Rule{{Proto: fwd.TCP, IfName: "lo", First: 9000, Last: 9000, Target: 9000}}
	tests := []struct {
		name, host, servers string
		change              func(*Options)
		inbound, splice     []fwd.Rule
	}{
		{"everything", "normal", "10.255.255.53 2606:4700::1111", func(o *Options) {
			o.ConfigNet = false
			o.OutboundIf4, o.Outbound4 = "vH", ip("10.66.0.2")
			o.Search = []string{"a.example"}
		}, inbound, splice},
		{"two-templates", "uplinks", "9.9.9.9", nil, nil, nil},
		{"local-mode", "no-uplink", "", nil, nil, nil},
		{"ipv4-only", "normal", "9.9.9.9", func(o *Options) { o.V6, o.NoMapGW = false, true }, nil, nil},
		{"ipv6-only-no-ndp", "normal", "fd00::53", func(o *Options) { o.V4, o.NoNDP = false, true }, nil, nil},
		{"no-services", "normal", "", func(o *Options) { o.NoDHCP, o.NoDHCPv6, o.NoNDP = true, true, true }, inbound, nil},
		{"splice-only", "normal", "9.9.9.9", func(o *Options) { o.NoInterface = true }, inbound, splice},
		{"no-gateway", "no-gateway", "", func(o *Options) { o.NoDHCPv6 = true }, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := decide(t, tt.host, tt.servers, tt.change)
			p.OurMAC = mac
			wantGolden(t, filepath.Join("testdata", "summary", tt.name+".txt"), p.Summary(tt.inbound, tt.splice))
		})
	}
}
