package portfwd

import (
	"strings"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
)

func TestForwardsThatLeadBackAreRefused(t *testing.T) {
	same, inbound := fwd.Bypass{Inbound: true, SameLoopback: true}, fwd.Bypass{Inbound: true}
	for _, tt := range []struct {
		name   string
		bypass fwd.Bypass
		args   []string // options and their values by turns
		want   string   // what the error begins with; empty: none
	}{
		{"one port", same, []string{"-t", "5000", "-T", "5000"}, "Forward of TCP port 5000 leads back to itself\nUnable to add rule TCP [*]:5000"},
		{"UDP", same, []string{"-u", "5000", "-U", "5000"}, "Forward of UDP port 5000"},
		{"TCP and UDP do not meet", same, []string{"-t", "5000", "-U", "5000"}, ""},
		{"by another port", same, []string{"-t", "5000:6000", "-T", "6000:5000"}, "Forward of TCP port 5000"},
		{"by two ports", same, []string{"-t", "1:2", "-t", "3:4", "-T", "2:3", "-T", "4:1"}, "Forward of TCP port 1 "},
		{"into a circle", same, []string{"-t", "1:2", "-t", "3:4", "-T", "2:3", "-T", "4:3"}, "Forward of TCP port 3 "},
		{"through, and out at another port", same, []string{"-t", "5000", "-T", "5000:5001"}, ""},
		{"the last of a range", same, []string{"-t", "1-65535", "-T", "65535"}, "Forward of TCP port 65535 "},
		{"all", same, []string{"-t", "all", "-T", "all"}, "Forward of TCP port 1 "},
		{"auto", same, []string{"-t", "auto", "-T", "5000"}, ""},
		{"a loopback address", same, []string{"-t", "127.0.0.9/5000", "-T", "5000"}, "Forward of TCP port 5000"},
		{"IPv6 only", same, []string{"-t", "::1/5000", "-T", "5000"}, "Forward of TCP port 5000"},
		{"another address", same, []string{"-t", "192.0.2.1/5000", "-T", "5000"}, ""},
		{"not the namespace's loopback", inbound, []string{"-t", "5000", "-T", "5000"}, ""},
		{"a target on it", inbound, []string{"-t", "0.0.0.0/5000:127.0.0.1/5000", "-T", "5000"}, "Forward of TCP port 5000"},
		{"a target elsewhere", same, []string{"-t", "0.0.0.0/5000:192.0.2.1/5000", "-T", "5000"}, ""},
		{"no bypass", fwd.Bypass{}, []string{"-t", "5000", "-T", "5000"}, ""},
		{"no tap", fwd.Bypass{Inbound: true, Only: true}, []string{"-t", "5000", "-T", "5000"}, "Forward of TCP port 5000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := both
			o.Namespace = func(f func() error) error { return f() }
			o.Bypass = tt.bypass
			err := Check(specRules(t, tt.args...), o)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Check = %v, want %q", err, tt.want)
			}
		})
	}
}
