package command

import "github.com/pasta-net/pasta/compat/cmdline"

// onlyFor refuses an option of another mode.
func onlyFor(option, mode string) func() error {
	return func() error { return cmdline.Errorf("%s is for %s mode only", option, mode) }
}

// ignoringArgument turns the "on" function of a refused option into a "set" one.
func ignoringArgument(on func() error) func(string) error {
	return func(string) error { return on() }
}
