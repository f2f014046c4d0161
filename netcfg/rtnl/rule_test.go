package rtnl

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func TestKernelKeepsRulesAsAdded(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		tests := []struct{ from, want, option string }{
			{"127.0.0.0/8", "77:	from 127.0.0.0/8 fwmark 0x1234 lookup 9999", "-4"},
			{"::1/128", "77:	from ::1 fwmark 0x1234 lookup 9999", "-6"},
		}
		c := open(t)
		for _, tt := range tests {
			r := Rule{From: netip.MustParsePrefix(tt.from), Mark: 0x1234, Table: 9999, Priority: 77}
			if err := c.AddRule(r); err != nil {
				t.Fatal(err)
			}
			if got := netnstest.IP(t, "rule show\n", tt.option); !strings.Contains(got, tt.want) {
				t.Errorf("rules:\n%swant one of them:\n%s", got, tt.want)
			}
			if err := c.AddRule(r); !errors.Is(err, syscall.EEXIST) {
				t.Errorf("again: %v, want %v", err, syscall.EEXIST)
			}
		}
	})
}
