package daemon

import (
	"errors"
	"os"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns"
)

// selfExe is this program, whatever happens to its file.
const selfExe = "/proc/self/exe"

// openUserns opens a user namespace to be joined. It gives nil for an empty path
// and for our own namespace, which setns(2) refuses to join once more.
func openUserns(path string) (*os.File, error) {
	if path == "" || netns.Same(path, "/proc/self/ns/user") {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, messagef("Couldn't open user namespace %s: %s", path, sys.Reason(err))
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

func openError(netns string, err error) error {
	return messagef("Couldn't open network namespace %s: %s", netns, sys.Reason(err))
}

// daemonError words an error of starting the daemon. Where the kernel refuses
// it new namespaces, it would refuse to enter the target for the same lack of
// CAP_SYS_ADMIN.
func daemonError(err error, userns string) error {
	var fe *sys.ForkError
	if errors.As(err, &fe) {
		switch fe.Step {
		case sys.StepUserns:
			return messagef("Couldn't enter user namespace %s: %s", userns, sys.Reason(err))
		case sys.StepClone:
			return messagef("Couldn't switch to pasta namespaces: %s", sys.Reason(err))
		}
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
	flags := uintptr(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS)
	if !t.NoPIDNS {
		flags |= syscall.CLONE_NEWPID
	}
	switch {
	case t.Userns != "":
		f.stub, err = f.stubJoining(t.Userns, flags, fdOf(r))
	case t.NetnsOnly:
		f.stub, err = f.stubCreating(flags, fdOf(r), false)
	default:
		f.stub, err = f.stubMapped(flags|syscall.CLONE_NEWUSER, fdOf(r))
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
	env, err := f.stubRole(goFD).environ()
	if err != nil {
		return 0, err
	}
	s := sys.ForkSpec{
		Path: selfExe, Argv: f.stubArgs(), Env: env,
		UserNS: -1, Namespaces: flags, Files: []int{goFD},
	}
	if user != nil {
		s.UserNS = fdOf(user)
	}
	if pid, err = sys.ForkExec(s); err != nil {
		return 0, daemonError(err, userns)
	}
	return pid, nil
}

// stubMapped starts the stub in a new user namespace where it is root. An outer
// namespace may forbid that map (nested containers): then without.
func (f *front) stubMapped(flags uintptr, goFD int) (pid int, err error) {
	pid, err = f.stubCreating(flags, goFD, true)
	if err == nil {
		return pid, nil
	}
	pid, again := f.stubCreating(flags, goFD, false)
	if again != nil {
		return 0, err
	}
	f.log.Warn("Couldn't configure user mappings: " + sys.Reason(err))
	return pid, nil
}

// stubCreating starts the stub by clone(2) alone. Its standard streams are ours,
// their blocking mode included, which os/exec would change.
func (f *front) stubCreating(flags uintptr, goFD int, mapped bool) (pid int, err error) {
	const stubFD = 3 // where Files below puts goFD
	env, err := f.stubRole(stubFD).environ()
	if err != nil {
		return 0, err
	}
	attr := &syscall.SysProcAttr{Cloneflags: flags}
	if mapped {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return syscall.ForkExec(selfExe, f.stubArgs(), &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, 1, 2, uintptr(goFD)}, Sys: attr,
	})
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

func closeFile(f *os.File) {
	if f != nil {
		f.Close()
	}
}
