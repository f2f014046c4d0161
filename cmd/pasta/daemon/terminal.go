package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// terminal is what happens to the controlling terminal, standard input, of a
// command. Our process group has no number in the PID namespace of the command:
// what a shell finds there is 0, and when it ends it cannot give the terminal back
// to that. So a shell gets a group of its own, in the foreground.
//
// Another command stays in our group, as long as it likes: of Ctrl-C we have to
// know (interruptCommand).
type terminal struct {
	// ours tells whether we were in the foreground at the start.
	ours bool
	// own tells whether the command has a group of its own.
	own bool
}

// newTerminal looks at standard input for a run of command.
func newTerminal(command []string) terminal {
	group, err := sys.Foreground(0)
	ours := err == nil && group == syscall.Getpgrp()
	return terminal{ours: ours, own: ours && isShell(command)}
}

// shells lists what a user may have as a shell (shells(5)).
const shells = "/etc/shells"

// isShell tells whether the command is a shell to type to: the default one, or one
// without arguments.
func isShell(command []string) bool {
	if len(command) != 1 {
		return len(command) == 0
	}
	path, err := exec.LookPath(command[0])
	list, _ := os.ReadFile(shells) // without it, there are none
	return err == nil && slices.Contains(strings.Split(string(list), "\n"), path)
}

// give makes the group of the command pid, if that has one, the foreground one.
// From now on we may write to the terminal and have it back without being stopped.
func (t terminal) give(pid int) {
	if t.own {
		signal.Ignore(syscall.SIGTTOU)
		_ = sys.SetForeground(0, pid) // the shell tells what it misses
	}
}

// takeBack makes our group the foreground one if that was so at the start, and
// the present one has ended: a shell in the namespace may have made that, too.
func (t terminal) takeBack() {
	if group, err := sys.Foreground(0); !t.ours || err != nil || !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
		return
	}
	signal.Ignore(syscall.SIGTTOU)
	_ = sys.SetForeground(0, syscall.Getpgrp()) // somebody has been faster
}

// signalFromTerminal guesses whether a signal like SIGINT came from the
// terminal's keyboard rather than from kill(1): it did if we are in the
// foreground process group of a controlling terminal. The command, which shares
// the group, got the same signal then, and deciding about it is its business.
func signalFromTerminal() bool {
	b, err := os.ReadFile("/proc/self/stat")
	return err == nil && inForeground(b)
}

// inForeground reads /proc/PID/stat (proc_pid_stat(5)).
func inForeground(stat []byte) bool {
	// Field 2 is the program's name in parentheses; it may hold any byte.
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return false
	}
	fields := strings.Fields(string(stat[i+1:]))
	const pgrp, tpgid = 5 - 3, 8 - 3 // the rest begins with field 3
	return len(fields) > tpgid && fields[tpgid] == fields[pgrp]
}

// defaultsTo tells whether process pid neither catches nor ignores the signal.
func defaultsTo(pid int, sig syscall.Signal) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && signalIsDefault(string(b), sig)
}

// signalIsDefault reads /proc/PID/status (proc_pid_status(5)).
func signalIsDefault(status string, sig syscall.Signal) bool {
	seen := 0
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if key != "SigIgn" && key != "SigCgt" {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil || mask>>(sig-1)&1 != 0 {
			return false
		}
		seen++
	}
	return seen == 2
}
