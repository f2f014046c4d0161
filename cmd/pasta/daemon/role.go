package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// roleEnv marks a re-execution of this program. It never reaches the user's
// command.
const roleEnv = "_PASTA_ROLE"

// The roles of re-executed processes; the process that the user started, the
// front, has none.
const (
	// roleDaemon connects the namespace. It parses the same command line
	// again, so it knows the options.
	roleDaemon = "daemon"
	// roleStub prepares new namespaces from inside and then becomes the
	// user's command, which is its argument list.
	roleStub = "stub"
)

// role is what the front tells a re-executed process. Descriptors are inherited
// under the numbers given here; 0 stands for none.
type role struct {
	// Kind is roleDaemon or roleStub.
	Kind string `json:"-"`
	// Start is when the front started: the origin of log times.
	Start time.Time
	// Front is the process ID of the front, for the log header.
	Front int

	// Ready is where the daemon reports once that it serves, or why not.
	Ready int `json:",omitempty"`
	// Log and Pcap are files opened with the invoking user's rights.
	Log  int `json:",omitempty"`
	Pcap int `json:",omitempty"`
	// Conf is the control socket and API that of RootlessKit's API, bound with the
	// same rights.
	Conf int `json:",omitempty"`
	API  int `json:",omitempty"`
	// Child is the process ID of the command or of the target, as the user sees it.
	Child int `json:",omitempty"`
	// Netns is the path of the target network namespace and Owner a pidfd of
	// the process that it hangs on.
	Netns string `json:",omitempty"`
	Owner int    `json:",omitempty"`

	// Go is where the stub waits for the network: one byte, or the end of
	// file if there will be none.
	Go int `json:",omitempty"`
	// NewProc asks the stub for a procfs of the new PID namespace.
	NewProc bool `json:",omitempty"`
}

// environ gives the environment of a process in the role r: the kind and the
// rest as JSON.
func (r *role) environ() ([]string, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode role: %w", err)
	}
	return append(os.Environ(), roleEnv+"="+r.Kind+" "+string(b)), nil
}

// takeRole removes the role from the environment and gives it, or nil for the
// front.
func takeRole() (*role, error) {
	v, ok := os.LookupEnv(roleEnv)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(roleEnv)
	kind, rest, _ := strings.Cut(v, " ")
	if kind != roleDaemon && kind != roleStub {
		return nil, fmt.Errorf("decode %s: unknown role %q", roleEnv, kind)
	}
	r := &role{Kind: kind}
	if err := json.Unmarshal([]byte(rest), r); err != nil {
		return nil, fmt.Errorf("decode %s: %w", roleEnv, err)
	}
	for _, fd := range []int{r.Ready, r.Log, r.Pcap, r.Conf, r.API, r.Owner, r.Go} {
		if fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return r, nil
}

// peekStub tells whether this process is a stub, without taking the role.
func peekStub() bool {
	return strings.HasPrefix(os.Getenv(roleEnv), roleStub+" ")
}

// inherited gives the file for an inherited descriptor, nil for none.
func inherited(fd int, name string) *os.File {
	if fd <= 2 {
		return nil
	}
	return os.NewFile(uintptr(fd), name)
}
