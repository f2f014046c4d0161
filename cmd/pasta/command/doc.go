// Package command is the command line of pasta: one cobra command whose flags
// are the whole option table, custom values that check each option as it is
// parsed, and the rules between options. Its result is daemon.Options.
//
// cobra holds the table for help, man page and completions, but does not parse; see
// compat/cmdline.
//
// Runs once, on the main goroutine. Import level: cmd.
package command
