package portfwd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// replace changes the tables and wants success with so many warnings.
func (m *managed) replace(warnings int, specs ...string) []string {
	m.t.Helper()
	_, generation := m.Rules()
	got, err := m.Replace(generation, specRules(m.t, specs...))
	if err != nil || len(got) != warnings {
		m.t.Fatalf("replace by %q: warnings %q, %v, want %d", specs, got, err, warnings)
	}
	return got
}

func TestReplaceKeepsWhatStays(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000", "-t", "8001", "-T", "9000"))
		fd := m.groups[0].fds[0]
		m.replace(0, "-u", "53", "-t", "8000", "-T", "9000")
		m.want("HOST TCP 8000=>8000", "HOST UDP 53=>53", "SPLICE TCP 9000=>9000")
		if got := m.groups[1].fds[0]; got != fd {
			t.Errorf("the listener that stays has descriptor %d, want %d as before", got, fd)
		}
		m.replace(0)
		m.want()
	})
}

func TestReplaceAtOnceTakesAFreedPort(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000", "-u", "53"))
		m.replace(0, "-t", "127.0.0.1/8000:80", "-u", "53:5353")
		m.want("HOST TCP 8000=>80", "HOST UDP 53=>5353")
	})
}

func TestReplaceFollowsAutoAtOnce(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, Rules{})
		m.service("tcp", "127.0.0.1:8080")
		m.replace(0, "-t", "auto")
		m.want("HOST TCP 8080=>8080")
		m.replace(0)
		m.want()
	})
}

func TestReplaceReportsAndRetries(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, Rules{})
		l, err := net.Listen("tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		got := m.replace(1, "-t", "8079-8081")
		if want := "Listen failed for HOST TCP port */8080: Address already in use"; got[0] != want {
			t.Errorf("warning %q, want %q", got[0], want)
		}
		m.want("HOST TCP 8079=>8079", "HOST TCP 8081=>8081")
		_ = l.Close()
		m.follow()
		m.want("HOST TCP 8079=>8079", "HOST TCP 8080=>8080", "HOST TCP 8081=>8081")
		if !m.idle() {
			t.Error("everything is open, and yet the manager is not idle")
		}
	})
}

// TestTooManyPortsAtRunTime: the warning is about the limit, not about ports that failed
// behind those that took it all.
func TestTooManyPortsAtRunTime(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 200, Max: 200}); err != nil {
			t.Fatal(err)
		}
		m := manage(t, Rules{})
		for _, spec := range []string{"10000-10299", "all"} {
			got := m.replace(1, "-t", spec)
			if want := "Forwarding rules need "; !strings.HasPrefix(got[0], want) ||
				!strings.HasSuffix(got[0], " open files, but the limit is 200 (hard limit 200)") {
				t.Errorf("-t %s: warning %q, want %q and the limit", spec, got[0], want)
			}
			m.replace(0)
		}
	})
}

func TestReplaceRefuses(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, specRules(t, "-t", "8000"))
		two := specRules(t, "-t", "80", "-t", "80")
		var conflict *ConflictError
		if _, err := m.Replace(0, two); !errors.As(err, &conflict) {
			t.Errorf("conflicting rules: %v, want a conflict", err)
		}
		if _, err := m.Replace(1, Rules{}); !errors.Is(err, ErrChanged) {
			t.Errorf("wrong generation: %v, want %v", err, ErrChanged)
		}
		m.Manager.engine = nil
		if _, err := m.Replace(0, Rules{}); !errors.Is(err, errNotRunning) {
			t.Errorf("without a run: %v, want %v", err, errNotRunning)
		}
		m.want("HOST TCP 8000=>8000")
	})
}

func TestEngineFailureIsAWarning(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, Rules{})
		m.engine.fail = errors.New("no room")
		if got := m.replace(1, "-t", "8000"); got[0] != "no room" {
			t.Errorf("warning %q, want that of the engine", got[0])
		}
		m.engine.fail = nil
		m.follow()
		m.want("HOST TCP 8000=>8000")
	})
}

func TestCheck(t *testing.T) {
	o := both
	vm := o
	o.Namespace = func(f func() error) error { return f() }
	ok := fwd.Rule{Proto: fwd.TCP, First: 80, Last: 80, Target: 80}
	tests := []struct {
		name   string
		o      Options
		pif    fwd.Pif
		change func(r *fwd.Rule)
		want   string // what the error begins with; empty: none
	}{
		{"fine", o, fwd.Host, func(*fwd.Rule) {}, ""},
		{"protocol", o, fwd.Host, func(r *fwd.Rule) { r.Proto = 132 }, "Unknown protocol"},
		{"port zero", o, fwd.Host, func(r *fwd.Rule) { r.First = 0 }, "Forwarding rule attempts to map from port 0"},
		{"reversed", o, fwd.Host, func(r *fwd.Rule) { r.Last = 79 }, "Invalid port range"},
		{"target zero", o, fwd.Host, func(r *fwd.Rule) { r.Target = 0 }, "Invalid port range"},
		{"target too high", o, fwd.Host, func(r *fwd.Rule) { r.Last, r.Target = 81, 65535 }, "Invalid port range"},
		{"IPv4-mapped", o, fwd.Host, func(r *fwd.Rule) { r.Listen = netip.MustParseAddr("::ffff:1.2.3.4") }, "Invalid address"},
		{"zone", o, fwd.Host, func(r *fwd.Rule) { r.Listen = netip.MustParseAddr("fe80::1%lo") }, "Invalid address"},
		{"interface", o, fwd.Host, func(r *fwd.Rule) { r.IfName = "abcdefghijklmnop" }, "Invalid interface name"},
		{"dual-stack target", o, fwd.Host, func(r *fwd.Rule) { r.TargetAddr = netip.MustParseAddr("1.2.3.4") }, "Dual stack forward"},
		{"splice", o, fwd.Splice, func(r *fwd.Rule) { r.IfName = "lo" }, ""},
		{"splice elsewhere", o, fwd.Splice, func(*fwd.Rule) {}, "Listening address not allowed"},
		{"splice of a VM", vm, fwd.Splice, func(r *fwd.Rule) { r.IfName = "lo" }, "Unsupported pif name SPLICE"},
		{"auto of a VM", vm, fwd.Host, func(r *fwd.Rule) { r.Auto = true }, "'auto' port forwarding is only allowed for pasta"},
		{"IPv6 off", Options{V4: true, TCP: true}, fwd.Host, func(r *fwd.Rule) { r.Listen = netip.IPv6Loopback() }, "IPv6 forward, but"},
		{"TCP off", Options{V4: true}, fwd.Host, func(*fwd.Rule) {}, "Can't add TCP forwarding rule"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ok
			tt.change(&r)
			var rules Rules
			rules[tt.pif] = []fwd.Rule{r}
			err := Check(rules, tt.o)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Check = %v, want %q", err, tt.want)
			}
		})
	}
}

// model is what the tables should be, in the simplest form.
type model map[modelPort]uint16 // its target

type modelPort struct {
	pif   fwd.Pif
	proto fwd.Proto
	port  uint16
}

// free tells whether no port of r is taken.
func (m model) free(pif fwd.Pif, r fwd.Rule) bool {
	for p := r.First; p <= r.Last; p++ {
		if _, taken := m[modelPort{pif, r.Proto, p}]; taken {
			return false
		}
	}
	return true
}

func (m model) set(pif fwd.Pif, r fwd.Rule) {
	for p := r.First; p <= r.Last; p++ {
		m[modelPort{pif, r.Proto, p}] = r.Target + (p - r.First)
	}
}

func (m model) remove(pif fwd.Pif, r fwd.Rule) {
	for p := r.First; p <= r.Last; p++ {
		delete(m, modelPort{pif, r.Proto, p})
	}
}

func (m model) ports() (list []string) {
	for p, target := range m {
		list = append(list, fmt.Sprintf("%s %s %d=>%d", p.pif, p.proto, p.port, target))
	}
	slices.Sort(list)
	return list
}

// TestRandomChanges makes random changes to both tables and compares with a model:
// the ports that are open, and which changes are refused.
func TestRandomChanges(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		m := manage(t, Rules{})
		want := randomChanges(t, m.Manager, 10000, func(op int, want model) {
			if op%100 == 0 {
				m.want(want.ports()...)
			}
		})
		m.want(want.ports()...)
	})
}

// randomChanges makes n changes and gives the model of what they led to.
func randomChanges(t *testing.T, m *Manager, n int, after func(op int, want model)) model {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	want := model{}
	for op := range n {
		rules, generation := m.Rules()
		valid := randomChange(rng, &rules, want)
		warnings, err := m.Replace(generation, rules)
		if (err == nil) != valid || len(warnings) > 0 {
			t.Fatalf("operation %d: %v, warnings %q, want success %v", op, err, warnings, valid)
		}
		after(op, want)
	}
	return want
}

// randomChange clears a table, deletes a rule or adds one, and tells whether that
// is valid; if it is, want has changed as well.
func randomChange(rng *rand.Rand, rules *Rules, want model) (valid bool) {
	pif := fwd.Pif(rng.IntN(int(fwd.NumPifs)))
	table := slices.Clone(rules[pif])
	switch change := rng.IntN(100); {
	case change == 0:
		for _, r := range table {
			want.remove(pif, r)
		}
		rules[pif] = nil
	case change < 50 && len(table) > 0:
		i := rng.IntN(len(table))
		want.remove(pif, table[i])
		rules[pif] = slices.Delete(table, i, i+1)
	default:
		r := randomRule(rng, pif)
		rules[pif] = append(table, r)
		if !want.free(pif, r) {
			return false
		}
		want.set(pif, r)
	}
	return true
}

func randomRule(rng *rand.Rand, pif fwd.Pif) fwd.Rule {
	r := fwd.Rule{Proto: fwd.TCP, First: uint16(2000 + rng.IntN(200)), Target: uint16(1 + rng.IntN(60000))}
	if rng.IntN(2) == 0 {
		r.Proto = fwd.UDP
	}
	if pif == fwd.Splice {
		r.IfName = "lo"
	}
	r.Last = r.First + uint16(rng.IntN(4))
	return r
}

// TestChangeIsFast changes one of 255 rules with 1,000 sockets.
func TestChangeIsFast(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		specs := []string{"-t", "20000-20999"}
		for port := range 253 {
			specs = append(specs, "-t", fmt.Sprint(10000+port))
		}
		m := manage(t, specRules(t, specs...))
		best := time.Hour
		for i := range 50 {
			rules := specRules(t, append(specs, "-t", fmt.Sprint(30000+i))...)
			_, generation := m.Rules()
			start := time.Now()
			if _, err := m.Replace(generation, rules); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		if limit := slowdown * 5 * time.Millisecond; best > limit {
			t.Errorf("a change takes %v, want at most %v", best, limit)
		}
		t.Logf("a change takes %v", best)
	})
}

func TestTooManyPortsForTheLimit(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 100, Max: 200}); err != nil {
			t.Fatal(err)
		}
		// 150 would fit, but leave next to nothing for connections.
		for _, spec := range []string{"10000-10299", "all", "10000-10149"} {
			_, err := startHost(both, specRules(t, "-t", spec)[fwd.Host]...)
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Soft != 200 || limit.Hard != 200 {
				t.Fatalf("-t %s: %v, want that the limit of 200 is too low", spec, err)
			}
			if spec == "10000-10299" && limit.Need != 300+spareDescriptors {
				t.Errorf("need %d, want %d", limit.Need, 300+spareDescriptors)
			}
		}
		list := listen(t, both, specRules(t, "-t", "10000-10099")[fwd.Host]...)
		if len(list) != 100 {
			t.Errorf("%d listeners after raising the soft limit, want 100", len(list))
		}
	})
}

func TestLimitErrorText(t *testing.T) {
	err := &LimitError{Need: 37559, Soft: 20000, Hard: 20000}
	want := "Forwarding rules need 37559 open files, but the limit is 20000 (hard limit 20000)\n" +
		"Raise the hard limit (ulimit -Hn 37559, LimitNOFILE= of systemd, limits.conf), or forward fewer ports"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
