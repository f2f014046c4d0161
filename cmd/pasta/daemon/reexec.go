package daemon

import "os"

// Reexecuted tells whether a front started this process, with its own command
// line, as its daemon. It holds until Run.
func Reexecuted() bool {
	_, ok := os.LookupEnv(roleEnv)
	return ok
}
