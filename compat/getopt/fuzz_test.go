package getopt

import (
	"errors"
	"strings"
	"testing"
)

// FuzzParse checks that no command line panics, that options and operands never
// outnumber the words given, and that what follows "--" comes back untouched.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"-d\n-m\n1500\nls\n-l", "--mtu=1\n--debu", "-dfm1", "--ma", "--", "-", "-\xff", "--=\n", "-b\nx", "--sock\nx\n--\n-d",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, permute bool) {
		args := strings.Split(text, "\n")
		var log []string
		p := Parser{Program: "pasta", Flags: table(&log), Permute: permute}
		operands, err := p.Parse(args)
		if len(log)+len(operands) > len(text)+1 {
			t.Errorf("Parse(%q) set %q and left %q", args, log, operands)
		}
		var usage *UsageError
		if err != nil && !errors.As(err, &usage) && !errors.Is(err, errValue) {
			t.Errorf("Parse(%q) = %v, want a UsageError or the value's error", args, err)
		}
		rest, err := p.Parse(append([]string{"--"}, args...))
		if err != nil || strings.Join(rest, "\n") != text {
			t.Errorf("Parse after -- = %q, %v, want %q", rest, err, args)
		}
	})
}
