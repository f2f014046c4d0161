package getopt

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// recorder notes each option it is given, in order.
type recorder struct {
	name string
	log  *[]string
	fail error
}

func (r *recorder) String() string { return "" }
func (r *recorder) Type() string   { return "string" }
func (r *recorder) Set(v string) error {
	*r.log = append(*r.log, r.name+"="+v)
	return r.fail
}

var errValue = errors.New("bad value")

// table is a small option table: two switches, three options with arguments, an
// alias pair, a hidden switch and one value that is never valid.
func table(log *[]string) *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	add := func(name, short string, takesValue bool) *pflag.Flag {
		flag := f.VarPF(&recorder{name: name, log: log}, name, short, "")
		if !takesValue {
			flag.NoOptDefVal = "true"
		}
		return flag
	}
	add("debug", "d", false)
	add("foreground", "f", false)
	add("mtu", "m", true)
	add("mac-addr", "M", true)
	add("map-guest-addr", "", true)
	add("no-tcp", "", false)
	add("no-tso", "", false).Hidden = true
	socket := add("socket", "s", true)
	f.AddFlag(&pflag.Flag{Name: "socket-path", Value: socket.Value})
	f.VarPF(&recorder{name: "broken", log: log, fail: errValue}, "broken", "b", "")
	return f
}

func TestParse(t *testing.T) {
	tests := []struct {
		name     string
		args     []string
		permute  bool
		set      []string
		operands []string
	}{
		{name: "nothing"},
		{name: "long with separate value", args: []string{"--mtu", "1500"}, set: []string{"mtu=1500"}},
		{name: "long with attached value", args: []string{"--mtu=1500"}, set: []string{"mtu=1500"}},
		{name: "long with empty value", args: []string{"--mtu="}, set: []string{"mtu="}},
		{name: "value holding =", args: []string{"--mtu=a=b"}, set: []string{"mtu=a=b"}},
		{name: "value that looks like an option", args: []string{"--mtu", "--debug"}, set: []string{"mtu=--debug"}},
		{name: "value --", args: []string{"-m", "--", "x"}, set: []string{"mtu=--"}, operands: []string{"x"}},
		{name: "unique prefix", args: []string{"--debu", "--mt=3"}, set: []string{"debug=true", "mtu=3"}},
		{name: "prefix of aliases", args: []string{"--sock=x"}, set: []string{"socket=x"}},
		{name: "exact name that is a prefix", args: []string{"--socket=x"}, set: []string{"socket=x"}},
		{name: "hidden name is not abbreviated", args: []string{"--no-t"}, set: []string{"no-tcp=true"}},
		{name: "hidden name in full", args: []string{"--no-tso"}, set: []string{"no-tso=true"}},
		{name: "cluster", args: []string{"-dfd"}, set: []string{"debug=true", "foreground=true", "debug=true"}},
		{name: "short with attached value", args: []string{"-m1500"}, set: []string{"mtu=1500"}},
		{name: "short with separate value", args: []string{"-m", "1500"}, set: []string{"mtu=1500"}},
		{name: "short with separate empty value", args: []string{"-m", ""}, set: []string{"mtu="}},
		{name: "cluster ending in a value", args: []string{"-dm1500"}, set: []string{"debug=true", "mtu=1500"}},
		{name: "= belongs to a short value", args: []string{"-m=1"}, set: []string{"mtu==1"}},
		{name: "order is kept", args: []string{"-m1", "-d", "-m2"}, set: []string{"mtu=1", "debug=true", "mtu=2"}},
		{
			name: "first operand ends options", args: []string{"-d", "ls", "-f"},
			set: []string{"debug=true"}, operands: []string{"ls", "-f"},
		},
		{
			name: "double dash ends options", args: []string{"-d", "--", "-f"},
			set: []string{"debug=true"}, operands: []string{"-f"},
		},
		{name: "single dash is an operand", args: []string{"-", "-d"}, operands: []string{"-", "-d"}},
		{name: "empty operand", args: []string{"", "-d"}, operands: []string{"", "-d"}},
		{
			name: "permute", args: []string{"12", "-d", "tap0", "--", "-f"}, permute: true,
			set: []string{"debug=true"}, operands: []string{"12", "tap0", "-f"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log []string
			p := Parser{Program: "pasta", Flags: table(&log), Permute: tt.permute}
			operands, err := p.Parse(tt.args)
			if err != nil {
				t.Fatalf("Parse(%q) = %v, want no error", tt.args, err)
			}
			if diff := cmp.Diff(tt.set, log); diff != "" {
				t.Errorf("Parse(%q) set (-want +got):\n%s", tt.args, diff)
			}
			if len(operands) != len(tt.operands) || !cmp.Equal(append([]string{}, operands...), append([]string{}, tt.operands...)) {
				t.Errorf("Parse(%q) operands = %q, want %q", tt.args, operands, tt.operands)
			}
		})
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown long", []string{"--foo"}, "pasta: unrecognized option '--foo'"},
		{"unknown long with value", []string{"--foo=1"}, "pasta: unrecognized option '--foo=1'"},
		{"unknown short", []string{"-Z"}, "pasta: invalid option -- 'Z'"},
		{"unknown in cluster", []string{"-dZ"}, "pasta: invalid option -- 'Z'"},
		{"dash in cluster", []string{"-d-"}, "pasta: invalid option -- '-'"},
		{"short without value", []string{"-m"}, "pasta: option requires an argument -- 'm'"},
		{"long without value", []string{"--mtu"}, "pasta: option '--mtu' requires an argument"},
		{"abbreviated without value", []string{"--mt"}, "pasta: option '--mtu' requires an argument"},
		{"value not allowed", []string{"--debug=1"}, "pasta: option '--debug' doesn't allow an argument"},
		{"ambiguous", []string{"--ma"}, "pasta: option '--ma' is ambiguous; possibilities: '--mac-addr' '--map-guest-addr'"},
		{
			"ambiguous with value",
			[]string{"--ma=1"},
			"pasta: option '--ma=1' is ambiguous; possibilities: '--mac-addr' '--map-guest-addr'",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log []string
			p := Parser{Program: "pasta", Flags: table(&log)}
			_, err := p.Parse(tt.args)
			var usage *UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("Parse(%q) = %v, want a UsageError", tt.args, err)
			}
			if err.Error() != tt.want {
				t.Errorf("Parse(%q) = %q, want %q", tt.args, err, tt.want)
			}
		})
	}
}

func TestValueErrorEndsParsing(t *testing.T) {
	var log []string
	p := Parser{Program: "pasta", Flags: table(&log)}
	_, err := p.Parse([]string{"-d", "--broken", "x", "--foo"})
	if !errors.Is(err, errValue) {
		t.Errorf("Parse = %v, want the value's own error", err)
	}
	if want := []string{"debug=true", "broken=x"}; !cmp.Equal(log, want) {
		t.Errorf("values set = %q, want %q", log, want)
	}
}

// funcValue is not comparable, as the values of pflag's Func flags are not.
type funcValue func(string) error

func (f funcValue) String() string     { return "" }
func (f funcValue) Type() string       { return "" }
func (f funcValue) Set(s string) error { return f(s) }

func TestAmbiguousAmongIncomparableValues(t *testing.T) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	nop := funcValue(func(string) error { return nil })
	f.VarPF(nop, "one-a", "", "")
	f.VarPF(nop, "one-b", "", "")
	_, err := (&Parser{Program: "x", Flags: f}).Parse([]string{"--one=1"})
	if want := "x: option '--one=1' is ambiguous; possibilities: '--one-a' '--one-b'"; err == nil || err.Error() != want {
		t.Errorf("Parse = %v, want %q", err, want)
	}
}
