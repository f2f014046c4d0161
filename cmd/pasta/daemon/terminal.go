package daemon

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

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
