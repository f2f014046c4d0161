package daemon

import (
	"os"
	"path/filepath"
)

// Reexecuted tells whether a front started this process, with its own command
// line, as its daemon. It holds until Run.
func Reexecuted() bool {
	_, ok := os.LookupEnv(roleEnv)
	return ok
}

// nameProcess gives the process the name of the program, by which users look for it
// (pgrep, ss): after the re-execution it has that of the link, "exe". Only a
// convenience, so failing does no harm.
func nameProcess() {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
}
