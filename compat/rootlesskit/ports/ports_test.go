package ports

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rootless-containers/rootlesskit/v3/pkg/port"
	"github.com/rootless-containers/rootlesskit/v3/pkg/port/portutil"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// fakeForwards holds tables without opening anything.
type fakeForwards struct {
	o     portfwd.Options
	rules portfwd.Rules
	fail  error
}

func (f *fakeForwards) Options() portfwd.Options { return f.o }

func (f *fakeForwards) Rules() (portfwd.Rules, uint64) { return f.rules, 0 }

func (f *fakeForwards) Add(pif fwd.Pif, rule fwd.Rule) error {
	if f.fail != nil {
		return f.fail
	}
	rules := f.rules
	rules[pif] = append(slices.Clone(rules[pif]), rule)
	if err := portfwd.Check(rules, f.o); err != nil {
		return err
	}
	f.rules = rules
	return nil
}

func (f *fakeForwards) Remove(pif fwd.Pif, rule fwd.Rule) error {
	at := slices.Index(f.rules[pif], rule)
	if at < 0 {
		return portfwd.ErrNoRule
	}
	f.rules[pif] = slices.Delete(slices.Clone(f.rules[pif]), at, at+1)
	return nil
}

// both is a run with both families and protocols.
func both() portfwd.Options { return portfwd.Options{V4: true, V6: true, TCP: true, UDP: true} }

func TestRules(t *testing.T) {
	only4, only6, proxy := both(), both(), both()
	only4.V6, only6.V4, proxy.AnyTarget = false, false, true
	tests := []struct {
		name, spec string
		o          portfwd.Options
		child      string // default
		want       string // rule, or the begin of the error
	}{
		{"any address", ":8080:80/tcp", both(), "", "TCP [*]:8080  =>  80"},
		{"any IPv4 address stands for both", "0.0.0.0:8080:80/tcp", both(), "", "TCP [*]:8080  =>  80"},
		{"any IPv6 address stands for both", "[::]:8080:80/udp", both(), "", "UDP [*]:8080  =>  80"},
		{"no IPv6", "0.0.0.0:8080:80/tcp", only4, "", "TCP [0.0.0.0]:8080  =>  80"},
		{"no IPv4", ":8080:80/tcp", only6, "", "TCP [::]:8080  =>  80"},
		{"address", "127.0.0.1:8080:80/tcp", both(), "", "TCP [127.0.0.1]:8080  =>  80"},
		{"IPv6 address", "[::1]:8080:80/udp", both(), "", "UDP [::1]:8080  =>  80"},
		{"IPv4 only", ":8080:80/tcp4", both(), "", "TCP [0.0.0.0]:8080  =>  80"},
		{"IPv4 only, any", "0.0.0.0:8080:80/udp4", both(), "", "UDP [0.0.0.0]:8080  =>  80"},
		{"IPv6 only", ":8080:80/tcp6", both(), "", "TCP [::]:8080  =>  80"},
		{"IPv6 only, any", "[::]:8080:80/tcp6", both(), "", "TCP [::]:8080  =>  80"},
		{"IPv4 address for IPv6", "127.0.0.1:8080:80/tcp6", both(), "", "listen tcp6: address 127.0.0.1: no suitable address"},
		{"IPv6 address for IPv4", "[::1]:8080:80/udp4", both(), "", "listen udp4: address ::1: no suitable address"},
		{"mapped address", "[::ffff:127.0.0.1]:8080:80/tcp4", both(), "", "TCP [127.0.0.1]:8080  =>  80"},
		{"target", "127.0.0.1:8080:10.0.2.100:80/tcp", both(), "", "TCP [127.0.0.1]:8080  =>  10.0.2.100:80"},
		{"target's family", ":8080:10.0.2.100:80/tcp", both(), "", "TCP [0.0.0.0]:8080  =>  10.0.2.100:80"},
		{"IPv6 target's family", ":8080:[fd00::2]:80/tcp", both(), "", "TCP [::]:8080  =>  fd00::2:80"},
		{"target for both families", ":8080:10.0.2.100:80/tcp", proxy, "", "TCP [*]:8080  =>  10.0.2.100:80"},
		{"default target", ":8080:80/tcp", proxy, "127.0.0.1", "TCP [*]:8080  =>  127.0.0.1:80"},
		{"any target is the default", ":8080:0.0.0.0:80/tcp", proxy, "127.0.0.1", "TCP [*]:8080  =>  127.0.0.1:80"},
		{"target of another family", "[::1]:8080:10.0.2.100:80/tcp", both(), "", "Forward from IPv6 (::1) to IPv4"},
		{"target of another family, without translation", "[::1]:8080:10.0.2.1:80/tcp", proxy, "", "TCP [::1]:8080  =>  10.0.2.1:80"},
		{"SCTP", ":8080:80/sctp", both(), "", "unsupported port protocol sctp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeForwards{o: tt.o}
			b := NewBook(f, func(Spec) netip.Addr { return parse(tt.child) })
			spec, err := portutil.ParsePortSpec(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			st, err := b.Add(Spec(*spec))
			switch {
			case err != nil:
				got = err.Error()
			case st != Status{ID: 1, Spec: Spec(*spec)}:
				t.Errorf("status %+v, want ID 1 and what was asked for", st)
			default:
				got = strings.TrimSpace(f.rules[fwd.Host][0].String())
			}
			if !strings.HasPrefix(got, tt.want) || tt.want == "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestValidation compares with RootlessKit's own check.
func TestValidation(t *testing.T) {
	ok := port.Spec{Proto: "tcp", ParentPort: 80, ChildPort: 80}
	with := func(change func(*port.Spec)) port.Spec {
		s := ok
		change(&s)
		return s
	}
	tests := []struct {
		name string
		spec port.Spec
		want bool
	}{
		{"valid", ok, true},
		{"empty", port.Spec{}, false},
		{"protocol", with(func(s *port.Spec) { s.Proto = "icmp" }), false},
		{"protocol of two families", with(func(s *port.Spec) { s.Proto = "tcp46" }), false},
		{"family alone", with(func(s *port.Spec) { s.Proto = "4" }), false},
		{"parent's address", with(func(s *port.Spec) { s.ParentIP = "localhost" }), false},
		{"parent's address with zone", with(func(s *port.Spec) { s.ParentIP = "fe80::1%lo" }), false},
		{"child's address", with(func(s *port.Spec) { s.ChildIP = "1.2.3" }), false},
		{"no parent's port", with(func(s *port.Spec) { s.ParentPort = 0 }), false},
		{"parent's port", with(func(s *port.Spec) { s.ParentPort = 65536 }), false},
		{"no child's port", with(func(s *port.Spec) { s.ChildPort = -1 }), false},
		{"child's port", with(func(s *port.Spec) { s.ChildPort = 1 << 32 }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			theirs := portutil.ValidatePortSpec(tt.spec, nil)
			ours := Spec(tt.spec).validate()
			if (theirs == nil) != tt.want || (ours == nil) != tt.want {
				t.Fatalf("valid: RootlessKit says %v, we %v, want %v", theirs, ours, tt.want)
			}
			if ours == nil {
				return
			}
			// RootlessKit shows port numbers as characters.
			text, _, _ := strings.Cut(theirs.Error(), ": '")
			if !strings.HasPrefix(ours.Error(), text) {
				t.Errorf("error %q, want that of RootlessKit, %q", ours, theirs)
			}
		})
	}
}

func TestBook(t *testing.T) {
	f := &fakeForwards{o: both()}
	b := NewBook(f, nil)
	add := func(parent, child int) int {
		t.Helper()
		st, err := b.Add(Spec{Proto: "tcp", ParentPort: parent, ChildPort: child})
		if err != nil {
			t.Fatal(err)
		}
		return st.ID
	}
	list := func(want ...int) {
		t.Helper()
		got := []int{}
		for _, st := range b.List() {
			got = append(got, st.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("IDs (-want +got):\n%s", diff)
		}
	}
	add(1000, 80)
	second := add(1001, 80)
	add(1002, 80)
	list(1, 2, 3)
	if err := b.Remove(second); err != nil {
		t.Fatal(err)
	}
	if again := add(1001, 81); again != 4 {
		t.Errorf("ID %d, want 4: none is used again", again)
	}
	list(1, 3, 4)
	f.rules[fwd.Host] = f.rules[fwd.Host][:1] // somebody clears the others
	list(1)
	if err := b.Remove(3); err == nil || err.Error() != "unknown id: 3" {
		t.Errorf("remove what is gone: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	rule := fwd.Rule{Proto: fwd.TCP, First: 80, Last: 80, Target: 80}
	tests := []struct {
		name string
		fail error
		want string
		is   error
	}{
		{
			"in use", &portfwd.ListenError{Rule: rule, Err: syscall.EADDRINUSE},
			"listen tcp 0.0.0.0:80: bind: address already in use", syscall.EADDRINUSE,
		},
		{
			"another forward", &portfwd.ConflictError{New: rule, Old: rule},
			"listen tcp 0.0.0.0:80: bind: address already in use by forward TCP [*]:80  =>  80", syscall.EADDRINUSE,
		},
		{
			"low port", &portfwd.ListenError{Rule: rule, Err: syscall.EACCES},
			"cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf, " +
				"or choose a larger port number: listen tcp 0.0.0.0:80: bind: permission denied", syscall.EACCES,
		},
		{"something else", portfwd.ErrChanged, portfwd.ErrChanged.Error(), portfwd.ErrChanged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBook(&fakeForwards{o: both(), fail: tt.fail}, nil)
			_, err := b.Add(Spec{Proto: "tcp", ParentIP: "0.0.0.0", ParentPort: 80, ChildPort: 80})
			if !errors.Is(err, tt.is) || err.Error() != tt.want {
				t.Errorf("error %q, want %q", err, tt.want)
			}
			if list := b.List(); len(list) != 0 {
				t.Errorf("listed: %v, want nothing", list)
			}
		})
	}
	b := NewBook(&fakeForwards{o: both()}, nil)
	for i, want := range []string{"", "conflict with ID 1"} {
		_, err := b.Add(Spec{Proto: "tcp", ParentPort: 80, ChildPort: 80 + i})
		if got := text(err); got != want {
			t.Errorf("port published %d times: error %q, want %q", i+1, got, want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzSpec checks that no specification panics, and that what is accepted is a rule
// that can be served.
func FuzzSpec(f *testing.F) {
	f.Add("tcp", "", 80, "", 80)
	f.Add("udp6", "::1", 65535, "::2", 1)
	f.Add("tcp4", "::ffff:1.2.3.4", 1, "fe80::1%1", 0)
	f.Add("466", "%", -1, "0.0.0.0", 1<<17)
	f.Fuzz(func(t *testing.T, proto, parentIP string, parentPort int, childIP string, childPort int) {
		s := Spec{Proto: proto, ParentIP: parentIP, ParentPort: parentPort, ChildIP: childIP, ChildPort: childPort}
		forwards := &fakeForwards{o: both()}
		if _, err := NewBook(forwards, nil).Add(s); err != nil {
			return
		}
		if theirs := portutil.ValidatePortSpec(port.Spec(s), nil); theirs != nil {
			t.Errorf("%+v is accepted, RootlessKit says %v", s, theirs)
		}
		if r := forwards.rules[fwd.Host][0]; int(r.First) != parentPort || int(r.Target) != childPort {
			t.Errorf("%+v becomes %v", s, r)
		}
	})
}
