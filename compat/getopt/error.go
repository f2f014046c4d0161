package getopt

import "fmt"

// UsageError is a command line that does not fit the table of options: an
// unknown or ambiguous option, or an argument missing or not allowed. Front ends
// print the usage text after it; errors of a flag's own value are never of this
// type.
type UsageError struct {
	// Program is the name that starts the message.
	Program string
	// Msg says what is wrong, in the words of GNU getopt_long.
	Msg string
}

// Error returns "PROGRAM: MESSAGE".
func (e *UsageError) Error() string { return e.Program + ": " + e.Msg }

func (p *Parser) usageErrorf(format string, args ...any) error {
	return &UsageError{Program: p.Program, Msg: fmt.Sprintf(format, args...)}
}
