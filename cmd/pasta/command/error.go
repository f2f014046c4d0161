package command

import "fmt"

// textError is an error whose text callers match or read as it is, which is why
// it starts with a capital.
type textError string

// Error returns the text.
func (e textError) Error() string { return string(e) }

func errorText(format string, args ...any) error {
	return textError(fmt.Sprintf(format, args...))
}

// onlyFor refuses an option of another mode.
func onlyFor(option, mode string) func() error {
	return func() error { return errorText("%s is for %s mode only", option, mode) }
}

// ignoringArgument turns the "on" function of a refused option into a "set" one.
func ignoringArgument(on func() error) func(string) error {
	return func(string) error { return on() }
}

// stop ends the parsing with success: text goes to standard output.
type stop struct{ text string }

// Error returns the text.
func (s *stop) Error() string { return s.text }
