package getopt

import (
	"strings"

	"github.com/spf13/pflag"
)

// Optional is the annotation of a flag whose argument may be left out: it is written
// as "--name=value" then, or there is none. pflag would say so of every flag with a
// NoOptDefVal, but options are rarely like that.
const Optional = "getopt_optional"

// Parser hands the options of a command line to the values of a flag set.
type Parser struct {
	// Program is the name that starts the message of a UsageError.
	Program string
	// Flags is the table of options.
	Flags *pflag.FlagSet
	// Permute looks for options behind operands too. False is the POSIX order:
	// the first operand ends the options.
	Permute bool
}

// Parse calls Value.Set for each option of args, in order, and returns the
// operands. It stops at the first problem: a *UsageError if args do not fit the
// table, else the error of Value.Set as it came, so that a value can end the
// parsing with a sentinel of its own ("--version").
func (p *Parser) Parse(args []string) (operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		switch {
		case arg == "--":
			return append(operands, args[1:]...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = p.long(arg[2:], args[1:])
		case len(arg) > 1 && arg[0] == '-':
			args, err = p.cluster(arg[1:], args[1:])
		case p.Permute:
			operands, args = append(operands, arg), args[1:]
		default:
			return args, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// long sets the option text ("name" or "name=value") and returns what is left of
// the following arguments.
func (p *Parser) long(text string, rest []string) ([]string, error) {
	name, value, attached := strings.Cut(text, "=")
	flag, err := p.lookup(name, text)
	if err != nil {
		return nil, err
	}
	switch {
	case attached && flag.Annotations[Optional] != nil:
	case flag.NoOptDefVal != "" && attached:
		return nil, p.usageErrorf("option '--%s' doesn't allow an argument", flag.Name)
	case flag.NoOptDefVal != "":
		value = flag.NoOptDefVal
	case !attached && len(rest) == 0:
		return nil, p.usageErrorf("option '--%s' requires an argument", flag.Name)
	case !attached:
		value, rest = rest[0], rest[1:]
	}
	return rest, set(flag, value)
}

// cluster sets the short options of text ("df", "m1500") and returns what is
// left of the following arguments.
func (p *Parser) cluster(text string, rest []string) ([]string, error) {
	for text != "" {
		letter := text[:1]
		text = text[1:]
		flag := p.Flags.ShorthandLookup(letter)
		switch {
		case flag == nil:
			return nil, p.usageErrorf("invalid option -- '%s'", letter)
		case flag.NoOptDefVal != "":
			if err := set(flag, flag.NoOptDefVal); err != nil {
				return nil, err
			}
			continue
		case text == "" && len(rest) == 0:
			return nil, p.usageErrorf("option requires an argument -- '%s'", letter)
		case text == "":
			text, rest = rest[0], rest[1:]
		}
		return rest, set(flag, text)
	}
	return rest, nil
}

// set hands value to the flag. It does not go through FlagSet.Set, which wraps
// errors in pflag's own words.
func set(flag *pflag.Flag, value string) error {
	flag.Changed = true
	return flag.Value.Set(value)
}
