package command

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestHelpListsEveryDocumentedOption(t *testing.T) {
	cmd := New()
	usage := cmd.UsageString()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		listed := strings.Contains(usage, "--"+f.Name+" ") || strings.Contains(usage, "--"+f.Name+"\n")
		want := GroupOf(f) != "" && GroupOf(f) != GroupDebug
		if listed != want {
			t.Errorf("--%s listed in help: %v, want %v", f.Name, listed, want)
		}
	})
	for _, head := range []string{
		"Usage: pasta [OPTION]... [COMMAND] [ARGS]...\n", " pasta [OPTION]... PID\n", " pasta [OPTION]... --netns [PATH|NAME]\n",
	} {
		if !strings.Contains(usage, head) {
			t.Errorf("usage lacks %q", head)
		}
	}
}

func TestInterfaceOptionsExist(t *testing.T) {
	flags := New().Flags()
	for _, name := range interfaceOptions() {
		if flags.Lookup(name) == nil {
			t.Errorf("there is no --%s", name)
		}
	}
}

func TestEveryDocumentedOptionHasHelp(t *testing.T) {
	New().Flags().VisitAll(func(f *pflag.Flag) {
		arg, usage := pflag.UnquoteUsage(f)
		if GroupOf(f) == "" {
			return
		}
		if usage == "" {
			t.Errorf("--%s has no help", f.Name)
		}
		if TakesArgument(f) && strings.Trim(arg, "ABCDEFGHIJKLMNOPQRSTUVWXYZ|[]/:") != "" {
			t.Errorf("--%s does not name its argument: %q", f.Name, arg)
		}
	})
}

// FuzzParse checks that no command line panics, and that a successful parse names
// exactly one target.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "--config-net\n--\nls\n-l", "-t\n8080:80\n-u\nnone\n1", "-a\n10.0.2.1/24\n-n\n255.0.0.0", "--netns\nx\n-46",
		"-Dnone\n-Sa b", "--map-host-loopback=none\n-dq", "-m0x\n-M\n:::::", "-F3", "--log-size=077777777\n-p\nx",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Identities are looked up in the system's files: not for a fuzzer.
		if strings.Contains(text, "--r") {
			t.Skip("--runas")
		}
		opts, err := Parse(strings.Split(text, "\n"), io.Discard)
		if err != nil {
			return
		}
		targets := 0
		for _, given := range []bool{opts.Target.Spawn, opts.Target.PID != 0, opts.Target.Netns != ""} {
			if given {
				targets++
			}
		}
		if targets != 1 {
			t.Errorf("Parse(%q) has %d targets: %+v", text, targets, opts.Target)
		}
	})
}

// BenchmarkParse holds the price of the option table in every start, which must
// stay far below a millisecond.
func BenchmarkParse(b *testing.B) {
	args := strings.Fields("--config-net -t 8080:80 --dns-forward 169.254.1.1 --quiet --netns /run/netns/x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(args, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
