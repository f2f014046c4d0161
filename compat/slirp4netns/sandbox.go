package slirp4netns

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// selfExe is this program, whatever happens to its file.
const selfExe = "/proc/self/exe"

// sandboxEnv marks a process in a mount namespace of its own: sandboxSelf is the one that
// the caller started; otherwise it does the work of that process, whose ID it is, in
// another user namespace.
const (
	sandboxEnv  = "_PASTA_SLIRP4NETNS"
	sandboxSelf = "self"
)

// sandboxFailed ends the errors of making the sandbox.
const sandboxFailed = "\ncreate_sandbox failed\ndo_slirp failed\nparent failed"

func insideSandbox() bool { return os.Getenv(sandboxEnv) != "" }

// enterSandbox starts the program again in a new mount namespace, which a Go process,
// with its several threads, cannot make for itself. User 0 becomes the new program;
// others have the rights for that in the user namespace of the target only, which
// takes a child: this process waits for it then, and gives its exit status.
func enterSandbox(s *settings) (exit int, err error) {
	runtime.LockOSThread() // whose namespace becomes the program's, and whose end is the child's
	if os.Geteuid() == 0 {
		return 1, becomeSandboxed()
	}
	if s.pid == 0 {
		return 1, cmdline.Text("unshare(CLONE_NEWNS): " + sys.Reason(syscall.EPERM) + sandboxFailed)
	}
	path := fmt.Sprintf("/proc/%d/ns/user", s.pid)
	user, err := os.Open(path)
	if err != nil {
		return 1, cmdline.Errorf("%s: %s%s", path, sys.Reason(err), childFailed)
	}
	defer user.Close()
	fds := []int{}
	for _, fd := range []int{s.readyFD, s.exitFD} {
		if fd > 2 && sys.IsInherited(fd) {
			fds = append(fds, fd)
		}
	}
	pid, err := sys.ForkExec(sys.ForkSpec{
		Path: selfExe, Argv: os.Args, Env: append(os.Environ(), sandboxEnv+"="+strconv.Itoa(os.Getpid())),
		UserNS: int(user.Fd()), Namespaces: syscall.CLONE_NEWNS, Files: fds,
	})
	if err != nil {
		return 1, cmdline.Errorf("cannot enter %s: %s%s", path, sys.Reason(err), sandboxFailed)
	}
	for _, fd := range fds {
		sys.Close(fd) // or who waits for their end would wait for us, too
	}
	return await(pid), nil
}

// becomeSandboxed executes the program in a new mount namespace. It returns errors
// only.
func becomeSandboxed() error {
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return cmdline.Text("unshare(CLONE_NEWNS): " + sys.Reason(err) + sandboxFailed)
	}
	err := syscall.Exec(selfExe, os.Args, append(os.Environ(), sandboxEnv+"="+sandboxSelf))
	return cmdline.Text("execve: " + sys.Reason(err) + sandboxFailed)
}

// await gives the exit status of the child, which the kernel kills if we are killed.
func await(pid int) (exit int) {
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 1
		case ws.Signaled():
			signal.Reset(ws.Signal())
			_ = syscall.Kill(os.Getpid(), ws.Signal())
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

// followParent ties a child to the process that the caller started, which may be gone
// already.
func followParent() error {
	parent, err := strconv.Atoi(os.Getenv(sandboxEnv))
	if err != nil {
		return nil // this is that process
	}
	if err := isolate.DieWith(syscall.SIGKILL); err != nil {
		return err
	}
	if os.Getppid() != parent {
		return cmdline.Text("parent failed")
	}
	return nil
}

// confine gives up what --enable-sandbox and --enable-seccomp say.
func (s *settings) confine() error {
	if s.sandbox {
		if err := isolate.Jail(visible(), isolate.CapNetBindService); err != nil {
			return cmdline.Text(err.Error() + sandboxFailed)
		}
	}
	if s.seccomp {
		if err := isolate.FilterCalls(); err != nil {
			return cmdline.Text(err.Error() + "\nenable_seccomp failed\ndo_slirp failed\nparent failed")
		}
	}
	return nil
}

// visible is what stays visible in the sandbox: the list of resolvers, wherever it is.
func visible() []string {
	paths := []string{"/etc", "/run"}
	real, err := filepath.EvalSymlinks(resolv.Path)
	if err == nil && !strings.HasPrefix(real, "/etc/") && !strings.HasPrefix(real, "/run/") {
		paths = append(paths, real)
	}
	return paths
}
