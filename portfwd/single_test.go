package portfwd

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// port is a rule of one port, to the same one.
func port(proto fwd.Proto, number uint16) fwd.Rule {
	return fwd.Rule{Proto: proto, First: number, Last: number, Target: number}
}

func TestAddAndRemove(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000"))
		before, _ := m.Rules()
		for _, r := range []fwd.Rule{port(fwd.TCP, 80), port(fwd.UDP, 80)} {
			if err := m.Add(fwd.Host, r); err != nil {
				t.Fatal(err)
			}
		}
		m.want("HOST TCP 8000=>8000", "HOST TCP 80=>80", "HOST UDP 80=>80")
		for range 3 { // the port is free at once
			if err := m.Remove(fwd.Host, port(fwd.UDP, 80)); err != nil {
				t.Fatal(err)
			}
			m.want("HOST TCP 8000=>8000", "HOST TCP 80=>80")
			if err := m.Add(fwd.Host, port(fwd.UDP, 80)); err != nil {
				t.Fatal(err)
			}
		}
		rules, generation := m.Rules()
		if len(rules[fwd.Host]) != 3 || generation != 8 || len(before[fwd.Host]) != 1 {
			t.Errorf("generation %d, rules %v, want 3 after 8 changes; earlier result now %v", generation, rules, before)
		}
		m.replace(0)
		m.want()
	})
}

func TestAddRefuses(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000"))
		l, err := net.Listen("tcp", "127.0.0.1:81")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := m.Add(fwd.Host, port(fwd.TCP, 81)); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("port of somebody else: %v, want %v", err, syscall.EADDRINUSE)
		}
		wide := port(fwd.TCP, 79)
		wide.Last = 82
		if err := m.Add(fwd.Host, wide); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("range with that port: %v, want %v", err, syscall.EADDRINUSE)
		}
		var conflict *ConflictError
		if err := m.Add(fwd.Host, port(fwd.TCP, 8000)); !errors.As(err, &conflict) {
			t.Errorf("port of another rule: %v, want a conflict", err)
		}
		if err := m.Add(fwd.Host, port(fwd.TCP, 0)); !errors.Is(err, ErrPortZero) {
			t.Errorf("port 0: %v, want %v", err, ErrPortZero)
		}
		m.engine.fail = errors.New("no room")
		if err := m.Add(fwd.Host, port(fwd.TCP, 82)); !errors.Is(err, m.engine.fail) {
			t.Errorf("engine fails: %v, want its error", err)
		}
		if err := m.Remove(fwd.Host, port(fwd.TCP, 8001)); !errors.Is(err, ErrNoRule) {
			t.Errorf("remove what is not there: %v, want %v", err, ErrNoRule)
		}
		m.Manager.engine = nil
		if err := m.Add(fwd.Host, port(fwd.TCP, 83)); !errors.Is(err, errNotRunning) {
			t.Errorf("without a run: %v, want %v", err, errNotRunning)
		}
		m.want("HOST TCP 8000=>8000")
		if rules, generation := m.Rules(); len(rules[fwd.Host]) != 1 || generation != 0 {
			t.Errorf("generation %d, rules %v, want the first one unchanged", generation, rules)
		}
	})
}

func TestMaxRules(t *testing.T) {
	o := both
	o.MaxRules = 2
	one, two := Rules{{port(fwd.TCP, 1)}}, Rules{{port(fwd.TCP, 1), port(fwd.TCP, 2)}}
	if _, err := one.with(fwd.Host, port(fwd.TCP, 2), o); err != nil {
		t.Error(err)
	}
	const want = "Too many rules (maximum 2)"
	if _, err := two.with(fwd.Host, port(fwd.TCP, 3), o); err == nil || err.Error() != want {
		t.Errorf("with = %v, want %s", err, want)
	}
	three := Rules{append(two[fwd.Host], port(fwd.TCP, 3))}
	if err := Check(three, o); err == nil || err.Error() != want {
		t.Errorf("Check = %v, want %s", err, want)
	}
}

func TestAnyTarget(t *testing.T) {
	o := both
	rule := port(fwd.TCP, 80) // on both families
	rule.TargetAddr = netip.MustParseAddr("127.0.0.1")
	var refused *RuleError
	if err := Check(Rules{{rule}}, o); !errors.As(err, &refused) {
		t.Errorf("Check = %v, want a refusal", err)
	}
	o.AnyTarget = true
	if err := Check(Rules{{rule}}, o); err != nil {
		t.Errorf("Check with AnyTarget = %v", err)
	}
}
