package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns"
)

const (
	hostnamePrefix = "pasta-"
	// hostnameMax is the longest host name of the kernel (__NEW_UTS_LEN).
	hostnameMax = 64
	// pingGroups lets group 0, the only one there is, open ICMP sockets.
	pingGroups     = "0 0"
	pingGroupsPath = "/proc/sys/net/ipv4/ping_group_range"
)

// runStub prepares the new namespaces from inside, while the daemon sets up the
// network, then waits for it and becomes the command. It only returns errors.
func runStub(r *role, command []string) error {
	for _, err := range prepareNamespaces(r.NewProc) {
		fmt.Fprintln(os.Stderr, err)
	}
	if !awaitGo(inherited(r.Go, "go")) {
		os.Exit(1) // the front tells why
	}
	path, argv := resolveCommand(command)
	err := execute(path, argv)
	return messagef("Failed to start command or shell: %s", sys.Reason(err))
}

// prepareNamespaces does what makes the namespaces pleasant. Its errors are
// warnings: the network works without.
func prepareNamespaces(newProc bool) (warnings []error) {
	if newProc {
		if err := useProc(); err != nil {
			warnings = append(warnings, messagef("Couldn't mount /proc: %s", sys.Reason(err)))
		}
	}
	if err := renameHost(); err != nil {
		warnings = append(warnings, messagef("Couldn't set host name: %s", sys.Reason(err)))
	}
	if err := os.WriteFile(pingGroupsPath, []byte(pingGroups), 0); err != nil {
		warnings = append(warnings, messagef("Couldn't set %s: %s", pingGroupsPath, sys.Reason(err)))
	}
	return warnings
}

// useProc sees to a procfs of the new PID namespace and leaves that of the host, if we
// were started in it.
func useProc() error {
	if !netns.ProcIsOurs() {
		if err := mountProc(); err != nil {
			return err
		}
	}
	dir, err := os.Getwd()
	if err != nil || dir != "/proc" && !strings.HasPrefix(dir, "/proc/") {
		return nil
	}
	if err := os.Chdir(dir); err != nil {
		return os.Chdir("/")
	}
	return nil
}

// mountProc mounts a procfs that shows the new PID namespace, where that could not be
// done from outside (stubNested). Mounts of the host still arrive here, but ours do
// not spread to the host.
func mountProc() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, ""); err != nil {
		return err
	}
	return syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
}

func renameHost() error {
	old, err := os.Hostname()
	if err != nil {
		return err
	}
	return syscall.Sethostname([]byte(stubHostname(old)))
}

// stubHostname is the host name in the namespaces of a command.
func stubHostname(old string) string {
	name := hostnamePrefix + old
	return name[:min(len(name), hostnameMax)]
}

// awaitGo waits for the front's byte and tells whether it came.
func awaitGo(pipe *os.File) bool {
	defer closeFile(pipe)
	n, err := pipe.Read(make([]byte, 1))
	return err == nil && n == 1
}

// resolveCommand gives the program and its argument list: the command, or the
// user's shell as a login shell.
func resolveCommand(command []string) (path string, argv []string) {
	if len(command) > 0 {
		return command[0], command
	}
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	return shell, []string{"-" + shell}
}

// execute replaces the process by the program name, looked up as execvp(3)
// does; a text file without interpreter line is a shell script.
func execute(name string, argv []string) error {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrDot):
		// Found, and the user's PATH asks for the current directory.
	case errors.Is(err, exec.ErrNotFound):
		return syscall.ENOENT
	case errors.Is(err, syscall.EISDIR):
		return syscall.EACCES // what execve(2) says of a directory
	case err != nil:
		return err
	}
	err = syscall.Exec(path, argv, os.Environ())
	if errors.Is(err, syscall.ENOEXEC) {
		return syscall.Exec("/bin/sh", append([]string{"sh", path}, argv[1:]...), os.Environ())
	}
	return err
}
