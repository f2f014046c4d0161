package portfwd

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
)

func TestConflict(t *testing.T) {
	rule := func(listen, ifName string, first, last uint16) fwd.Rule {
		r := fwd.Rule{Proto: fwd.TCP, IfName: ifName, First: first, Last: last, Target: first}
		if listen != "*" {
			r.Listen = netip.MustParseAddr(listen)
		}
		return r
	}
	udp := rule("*", "", 80, 80)
	udp.Proto = fwd.UDP
	tests := []struct {
		name string
		a, b fwd.Rule
		want bool
	}{
		{"same", rule("*", "", 80, 80), rule("*", "", 80, 80), true},
		{"other protocol", rule("*", "", 80, 80), udp, false},
		{"adjacent", rule("*", "", 80, 89), rule("*", "", 90, 99), false},
		{"last port shared", rule("*", "", 80, 90), rule("*", "", 90, 99), true},
		{"dual stack and v4", rule("*", "", 80, 80), rule("10.0.0.1", "", 80, 80), true},
		{"dual stack and v6 wildcard", rule("*", "", 80, 80), rule("::", "", 80, 80), true},
		{"v4 wildcard and v4", rule("0.0.0.0", "", 80, 80), rule("10.0.0.1", "", 80, 80), true},
		{"v4 wildcard and v6", rule("0.0.0.0", "", 80, 80), rule("fd00::1", "", 80, 80), false},
		{"wildcards of two families", rule("0.0.0.0", "", 80, 80), rule("::", "", 80, 80), false},
		{"two addresses", rule("10.0.0.1", "", 80, 80), rule("10.0.0.2", "", 80, 80), false},
		{"two interfaces", rule("*", "a", 80, 80), rule("*", "b", 80, 80), false},
		{"interface and none", rule("*", "a", 80, 80), rule("*", "", 80, 80), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Conflict(tt.a, tt.b); got != tt.want {
				t.Errorf("Conflict(%v, %v) = %v, want %v", tt.a, tt.b, got, tt.want)
			}
			if got := Conflict(tt.b, tt.a); got != tt.want {
				t.Errorf("Conflict(%v, %v) = %v, want %v", tt.b, tt.a, got, tt.want)
			}
		})
	}
}

func TestRuleLimit(t *testing.T) {
	var table Table
	for port := uint16(1); port <= MaxRules; port++ {
		if err := table.Add(fwd.Rule{Proto: fwd.TCP, First: port, Last: port, Target: port}); err != nil {
			t.Fatalf("Add of rule %d: %v", port, err)
		}
	}
	err := table.Add(fwd.Rule{Proto: fwd.TCP, First: 1000, Last: 1000, Target: 1000})
	if err == nil || err.Error() != "Too many rules (maximum 255)" {
		t.Errorf("Add of rule 256 = %v, want the limit's text", err)
	}
	if len(table.Rules()) != MaxRules {
		t.Errorf("table has %d rules after the refusal, want %d", len(table.Rules()), MaxRules)
	}
}

func TestListenerLimit(t *testing.T) {
	var table Table
	add := func(last byte) error {
		return table.Add(fwd.Rule{Proto: fwd.TCP, Listen: netip.AddrFrom4([4]byte{127, 0, 0, last}), First: 1, Last: 65535, Target: 1})
	}
	if err := add(1); err != nil {
		t.Fatal(err)
	}
	if err := add(2); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("Rules require too many listening sockets (maximum %d)", MaxListeners)
	if err := add(3); err == nil || err.Error() != want {
		t.Errorf("third full range = %v, want %q", err, want)
	}
}

func TestAddSpecIsAllOrNothing(t *testing.T) {
	var table Table
	first, err := ParseSpec("8080")
	if err != nil {
		t.Fatal(err)
	}
	if err := table.AddSpec(first, host()); err != nil {
		t.Fatal(err)
	}
	second, err := ParseSpec("9000,8080")
	if err != nil {
		t.Fatal(err)
	}
	if err := table.AddSpec(second, host()); err == nil {
		t.Error("AddSpec of a conflicting list succeeded")
	}
	if n := len(table.Rules()); n != 1 {
		t.Errorf("table has %d rules after the conflict, want 1", n)
	}
}
