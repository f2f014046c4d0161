package getopt

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestOptionFlags(t *testing.T) {
	var log []string
	var on bool
	fails := errors.New("bad")
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	for _, o := range []Option{
		{Name: "mtu", Short: "m", Usage: "the `MTU` of it", Def: "1500", Set: func(text string) error {
			log = append(log, text)
			return nil
		}},
		{Name: "quiet", On: TurnOn(&on), Usage: "say less"},
		{Name: "old", Hidden: true, On: func() error { return fails }},
	} {
		flags.AddFlag(o.Flag())
	}
	p := Parser{Program: "x", Flags: flags}
	if _, err := p.Parse([]string{"-m", "1", "--quiet", "--mtu=2"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", "2"}, log); diff != "" || !on {
		t.Errorf("quiet %v, arguments (-want +got):\n%s", on, diff)
	}
	if got := flags.Lookup("mtu").Value.String(); got != "2" {
		t.Errorf("last argument %q, want 2", got)
	}
	if _, err := p.Parse([]string{"--old"}); !errors.Is(err, fails) {
		t.Errorf("error of a function: %v, want it as it is", err)
	}
	want := "  -m, --mtu MTU   the MTU of it (default \"1500\")\n      --quiet     say less\n"
	if diff := cmp.Diff(want, flags.FlagUsages()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}
