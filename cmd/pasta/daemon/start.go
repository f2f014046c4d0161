package daemon

import (
	"errors"
	"os"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/sys/nofile"
	"github.com/pasta-net/pasta/netcfg/netns"
)

// selfExe is this program, whatever happens to its file.
const selfExe = "/proc/self/exe"

// openUserns opens a user namespace to be joined. It gives nil for our own one,
// which setns(2) refuses to join once more.
func openUserns(path string) (*os.File, error) {
	if netns.Same(path, "/proc/self/ns/user") {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, messagef("Couldn't open user namespace %s: %s", path, sys.Reason(err))
	}
	return f, nil
}

// checkProc finds out whether /proc is of use. We need ourselves in it and, except for a target known by its path, other processes
// under the numbers by which we know them.
func checkProc(t *Target) error {
	if netns.ProcIsOurs() {
		return nil
	}
	if _, err := os.Stat("/proc/self/"); err == nil && t.Netns != "" {
		return nil
	}
	return message("/proc does not show this PID namespace, mount procfs there (unshare --mount-proc does)")
}

// openOuter opens the user namespace around that of process pid.
func openOuter(pid int) (*os.File, error) {
	path := nsPath(pid, "user")
	f, err := netns.OpenParent(path)
	if err != nil {
		return nil, messagef("Couldn't open user namespace around %s: %s", path, sys.Reason(err))
	}
	return f, nil
}

// checkNetns tells what is wrong with the path of a network namespace, if the
// daemon would see it with the same eyes as we do: it may have no chance to, for
// lack of other rights.
func checkNetns(path string) error {
	f, err := netns.Open(path)
	if err != nil {
		return openError(path, err)
	}
	return f.Close()
}

func openError(path string, err error) error {
	if errors.Is(err, netns.ErrNotNetns) {
		err = netns.ErrNotNetns
	}
	return messagef("Couldn't open network namespace %s: %s", path, sys.Reason(err))
}

// daemonError words an error of starting the daemon. Where the kernel refuses
// it new namespaces, it would refuse to enter the target for the same lack of
// CAP_SYS_ADMIN.
func daemonError(err error, userns string) error {
	var fe *sys.ForkError
	switch {
	case errors.As(err, &fe) && fe.Step == sys.StepUserns:
		return messagef("Couldn't enter user namespace %s: %s", userns, sys.Reason(err))
	case fe != nil && fe.Step == sys.StepClone:
		return messagef("Couldn't switch to pasta namespaces: %s", sys.Reason(err))
	}
	return messagef("Couldn't start daemon: %s", sys.Reason(err))
}

// startStub starts the process that becomes the command, in new namespaces. It
// waits there until goPipe gets a byte.
func (f *front) startStub() error {
	r, w, err := os.Pipe()
	if err != nil {
		return messagef("Couldn't make a pipe: %s", sys.Reason(err))
	}
	defer r.Close()
	t := &f.o.Target
	f.terminal = newTerminal(t.Command)
	flags := uintptr(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS)
	if !t.NoPIDNS {
		flags |= syscall.CLONE_NEWPID
	}
	switch {
	case t.Userns != "":
		f.stub, err = f.stubJoining(t.Userns, flags, fdOf(r))
	case t.NetnsOnly:
		f.stub, err = f.forkStub(sys.ForkSpec{UserNS: -1, Namespaces: flags}, fdOf(r))
	default:
		f.stub, err = f.stubNested(flags|syscall.CLONE_NEWUSER, fdOf(r))
	}
	var m message
	if err != nil && !errors.As(err, &m) {
		err = messagef("Couldn't create namespaces: %s", sys.Reason(err))
	}
	if err != nil {
		w.Close()
		return err
	}
	f.goPipe = w
	return nil
}

// stubJoining starts the stub in new namespaces inside an existing user
// namespace.
func (f *front) stubJoining(userns string, flags uintptr, goFD int) (pid int, err error) {
	user, err := openUserns(userns)
	if err != nil {
		return 0, err
	}
	defer closeFile(user)
	s := sys.ForkSpec{UserNS: -1, Namespaces: flags}
	if user != nil {
		s.UserNS = fdOf(user)
	}
	if pid, err = f.forkStub(s, goFD); err != nil {
		return 0, daemonError(err, userns)
	}
	return pid, nil
}

// stubNested starts the stub in a new user namespace where it is root, inside
// another new one, which is for the daemon. A process has power over all others of
// its own user namespace, if it is root there: over their memory, too, whatever
// they do against it, since procfs of the host is never far. A namespace further in
// it has none. Nor can root there unmount procfs to find that of the host under it.
//
// A limit of the kernel may leave room for one level only, and an outer namespace
// may forbid the map (nested containers): then with less, as the user is told.
func (f *front) stubNested(flags uintptr, goFD int) (pid int, err error) {
	same, root := sys.IDMap{UID: os.Getuid(), GID: os.Getgid()}, sys.IDMap{}
	nested := sys.ForkSpec{UserNS: -1, Outer: &same, Map: &root, Namespaces: flags, LockProc: !f.o.Target.NoPIDNS}
	pid, err = f.forkStub(nested, goFD)
	if err == nil {
		f.nested = true
		return pid, nil
	}
	nesting := err
	if pid, err = f.forkStub(sys.ForkSpec{UserNS: -1, Map: &root, Namespaces: flags}, goFD); err == nil {
		f.log.Warn("Couldn't nest user namespaces, root in the new one has power over pasta: " + sys.Reason(nesting))
		return pid, nil
	}
	pid, again := f.forkStub(sys.ForkSpec{UserNS: -1, Namespaces: flags}, goFD)
	if again != nil {
		return 0, err
	}
	f.log.Warn("Couldn't configure user mappings: " + sys.Reason(err))
	return pid, nil
}

// forkStub starts the stub as s tells. Its standard streams are ours, their
// blocking mode included, which os/exec would change, and so are its limits as
// they were before the Go runtime raised them.
func (f *front) forkStub(s sys.ForkSpec, goFD int) (pid int, err error) {
	if s.Env, err = f.stubRole(goFD).environ(); err != nil {
		return 0, err
	}
	s.Path, s.Argv, s.Files = selfExe, f.stubArgs(), []int{goFD}
	s.NewGroup = f.terminal.own
	if soft, hard, ok := nofile.Original(); ok {
		s.NoFile = &syscall.Rlimit{Cur: soft, Max: hard}
	}
	return sys.ForkExec(s)
}

func (f *front) stubRole(goFD int) *role {
	return &role{Kind: roleStub, Start: f.start, Front: os.Getpid(), Go: goFD, NewProc: !f.o.Target.NoPIDNS}
}

func (f *front) stubArgs() []string { return append([]string{os.Args[0]}, f.o.Target.Command...) }

// fdOf gives the descriptor of file, 0 for nil. The file stays what it is:
// ours are all in blocking mode or pipes that only we use.
func fdOf(file *os.File) int {
	if file == nil {
		return 0
	}
	return int(file.Fd())
}

// nameOf gives the path of a file, "" for nil.
func nameOf(f *os.File) string {
	if f == nil {
		return ""
	}
	return f.Name()
}

func closeFile(f *os.File) {
	if f != nil {
		f.Close()
	}
}
