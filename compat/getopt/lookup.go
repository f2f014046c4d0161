package getopt

import (
	"reflect"
	"strings"

	"github.com/spf13/pflag"
)

// lookup finds the flag called name, or the only one that name abbreviates. text
// is the option as written, with its value, for the error message.
func (p *Parser) lookup(name, text string) (*pflag.Flag, error) {
	if flag := p.Flags.Lookup(name); flag != nil && name != "" {
		return flag, nil
	}
	found := p.abbreviated(name)
	switch {
	case len(found) == 0:
		return nil, p.usageErrorf("unrecognized option '--%s'", text)
	case !aliases(found):
		return nil, p.usageErrorf("option '--%s' is ambiguous; possibilities:%s", text, quote(found))
	}
	return found[0], nil
}

// abbreviated lists the flags whose name starts with prefix.
func (p *Parser) abbreviated(prefix string) []*pflag.Flag {
	var found []*pflag.Flag
	p.Flags.VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden && strings.HasPrefix(flag.Name, prefix) {
			found = append(found, flag)
		}
	})
	return found
}

// aliases tells whether all flags are names of one option, which is when they
// share their value. Such names are not ambiguous among themselves.
func aliases(flags []*pflag.Flag) bool {
	for _, flag := range flags[1:] {
		if !reflect.TypeOf(flag.Value).Comparable() || flag.Value != flags[0].Value {
			return false
		}
	}
	return true
}

func quote(flags []*pflag.Flag) string {
	var b strings.Builder
	for _, flag := range flags {
		b.WriteString(" '--" + flag.Name + "'")
	}
	return b.String()
}
