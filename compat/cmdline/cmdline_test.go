package cmdline

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/compat/getopt"
)

func newTest() *cobra.Command {
	return New("test [OPTION]... FILE", "try it", []getopt.Option{
		{Name: "size", Short: "s", Set: func(string) error { return Errorf("Invalid size") }, Usage: "the `SIZE`"},
		{Name: "all", Short: "a", On: func() error { return nil }, Usage: "all of it"},
		{Name: "help", On: Help, Usage: "show this"},
		{Name: "version", On: Say("test 1\n"), Usage: "show version"},
	}, Usage("Try it."))
}

const testUsage = `Usage: test [OPTION]... FILE

Try it.

  -s, --size SIZE   the SIZE
  -a, --all         all of it
      --help        show this
      --version     show version
`

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		name, args     string
		exit           int
		stdout, stderr string
	}{
		{name: "success", args: "-a file"},
		{name: "help", args: "-a --help --bad", stdout: testUsage},
		{name: "version", args: "--vers", stdout: "test 1\n"},
		{name: "error of a value", args: "--size=1", exit: 1, stderr: "Invalid size\n"},
		{name: "unknown option", args: "--bad", exit: 1, stderr: "test: unrecognized option '--bad'\n" + testUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			cmd := newTest()
			_, err := Parse(cmd, strings.Fields(tt.args), false)
			exit := Status(cmd, err, &stdout, &stderr)
			if exit != tt.exit || stdout.String() != tt.stdout || stderr.String() != tt.stderr {
				t.Errorf("%q: status %d, stdout %q, stderr %q, want %d, %q, %q",
					tt.args, exit, &stdout, &stderr, tt.exit, tt.stdout, tt.stderr)
			}
		})
	}
}

func TestParsePermutes(t *testing.T) {
	for _, tt := range []struct {
		permute bool
		want    string
	}{{true, "a b"}, {false, "a -a b"}} {
		operands, err := Parse(newTest(), []string{"a", "-a", "b"}, tt.permute)
		if err != nil || strings.Join(operands, " ") != tt.want {
			t.Errorf("permute %v: %q, %v, want %q", tt.permute, operands, err, tt.want)
		}
	}
}

// full is a standard output that takes nothing.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestSettleTellsThatOutputFailed(t *testing.T) {
	if err := Settle(Say("text")(), full{}); !errors.Is(err, errFull) {
		t.Errorf("Settle = %v, want %v", err, errFull)
	}
}
