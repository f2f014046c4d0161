package cmdline

import "fmt"

// Text is an error whose text callers match or read as it is, which is why it starts
// with a capital.
type Text string

// Error returns the text.
func (e Text) Error() string { return string(e) }

// Errorf returns a Text.
func Errorf(format string, args ...any) error { return Text(fmt.Sprintf(format, args...)) }
