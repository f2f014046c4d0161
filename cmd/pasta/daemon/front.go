package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// fileMode is the mode of files that we make: they may hold private data.
const fileMode = 0o600

// front is the process that the user started. It opens files, starts the other
// processes and waits for the daemon's readiness; in foreground mode it stays,
// passes signals on and ends with them.
type front struct {
	o     *Options
	start time.Time
	log   *slog.Logger
	queue *logQueue

	// Opened with the invoking user's rights; nil if not asked for.
	pidFile, logFile, pcap, conf, api *os.File

	signals chan os.Signal
	// stub is the process ID of the spawned command, daemon that of the
	// daemon; 0: not started.
	stub, daemon int
	// nested is set if the stub's user namespace is inside one for the daemon.
	nested bool
	// interrupt is the signal from the terminal that the command ended by.
	interrupt syscall.Signal
	// terminal is that of the command.
	terminal terminal
	// goPipe releases the stub.
	goPipe *os.File
	// served is closed when the daemon has done all its work.
	served chan struct{}
}

func newFront(o *Options) *front { return &front{o: o, start: time.Now()} }

// run does the whole run and gives the exit status.
func (f *front) run() int {
	f.catchSignals()
	ready, err := f.launch()
	f.queueFlush()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer ready.Close()
	if exit, done := f.awaitReady(ready); done {
		return exit
	}
	if err := f.becomeReady(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		f.stopDaemon()
		return 1
	}
	if !f.o.foreground() {
		return 0
	}
	return f.supervise()
}

// launch starts the daemon and, before it, the stub of a command. It gives the
// pipe for the readiness message.
func (f *front) launch() (ready *os.File, err error) {
	if err := checkProc(&f.o.Target); err != nil {
		return nil, err
	}
	if err := f.openFiles(); err != nil {
		return nil, err
	}
	if err := becomeUser(f.o.RunAs, f.log); err != nil {
		return nil, err
	}
	t := &f.o.Target
	r := &role{Kind: roleDaemon, Netns: t.Netns}
	switch {
	case t.Spawn:
		if err := f.startStub(); err != nil {
			return nil, err
		}
		r.Netns, r.Child = nsPath(f.stub, "net"), f.stub
	case t.PID != 0:
		r.Netns, r.Child = nsPath(t.PID, "net"), t.PID
	}
	user, err := f.daemonUserns()
	if err != nil {
		return nil, err
	}
	defer closeFile(user)
	return f.startDaemon(r, user)
}

// daemonUserns opens the user namespace that the daemon is to join, nil for ours.
// The daemon needs power over the target network namespace, so its own user
// namespace has to be the owner's or one around that.
func (f *front) daemonUserns() (*os.File, error) {
	t := &f.o.Target
	switch {
	case t.NetnsOnly:
		return nil, nil
	case t.Userns != "":
		return openUserns(t.Userns)
	case f.nested:
		return openOuter(f.stub)
	case t.Spawn:
		return openUserns(nsPath(f.stub, "user"))
	}
	return openUserns(nsPath(t.PID, "user"))
}

// nsPath is the path of a namespace of a process.
func nsPath(pid int, kind string) string { return "/proc/" + strconv.Itoa(pid) + "/ns/" + kind }

// openFiles closes what we inherited and opens what the user named, as the user
// who started us.
func (f *front) openFiles() error {
	if err := isolate.CloseInherited(); err != nil {
		return messagef("Couldn't close inherited files: %s", sys.Reason(err))
	}
	var err error
	if f.logFile, err = create(f.o.LogFile); err != nil {
		return messagef("Couldn't open log file %s: %s", f.o.LogFile, sys.Reason(err))
	}
	if err := f.openLog(); err != nil {
		return messagef("Couldn't open log file %s: %s", f.o.LogFile, sys.Reason(err))
	}
	if f.pidFile, err = create(f.o.PIDFile); err != nil {
		return messagef("Couldn't open PID file %s: %s", f.o.PIDFile, sys.Reason(err))
	}
	// A missing capture does not keep the network down.
	if f.pcap, err = createRegular(f.o.PcapFile); err != nil {
		f.log.Error(fmt.Sprintf("Couldn't open capture file %s: %s", f.o.PcapFile, sys.Reason(err)))
	}
	if f.conf, err = f.bind(f.o.ConfPath); err != nil {
		return err
	}
	f.api, err = f.bind(f.o.APISocket)
	return err
}

// bind makes a socket for clients that change the run; nil without error for an
// empty path.
func (f *front) bind(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	socket, err := ctlsock.Listen(path)
	if err != nil {
		return nil, messagef("Failed to bind UNIX domain socket: %s", sys.Reason(err))
	}
	f.log.Info("UNIX domain socket bound at " + path)
	return socket, nil
}

// openLog makes the front's logger, for the messages before the daemon runs.
func (f *front) openLog() error {
	sinks, err := f.o.sinks(f.logFile, os.Getpid())
	f.log, f.queue = newLogger(f.o.slogLevel(), f.start, sinks)
	return err
}

// queueFlush writes out our own messages.
func (f *front) queueFlush() {
	if f.queue != nil {
		f.queue.flush()
	}
}

// create makes or truncates a file; nil without error for an empty path.
func create(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
}

// createRegular is create for a file that writing to never blocks, as it may to a
// pipe whose reader is slow.
func createRegular(path string) (*os.File, error) {
	f, err := create(path)
	if f == nil || err != nil {
		return f, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = message("Not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// startDaemon starts this program again as the daemon, in the user namespace user
// (nil: ours) and in new mount, IPC, UTS and, in background, PID namespaces.
func (f *front) startDaemon(r *role, user *os.File) (ready *os.File, err error) {
	if user == nil {
		if err := checkNetns(r.Netns); err != nil {
			return nil, err
		}
	}
	ready, w, err := os.Pipe()
	if err != nil {
		return nil, messagef("Couldn't make a pipe: %s", sys.Reason(err))
	}
	defer w.Close()
	f.queueFlush() // before the daemon's messages
	var owner *os.File
	if !f.o.Target.Spawn && !f.o.Target.NoNetnsQuit {
		owner = netns.OpenOwner(r.Netns)
	}
	defer closeFile(owner)
	r.Start, r.Front = f.start, os.Getpid()
	r.Ready, r.Log, r.Pcap, r.Owner = fdOf(w), fdOf(f.logFile), fdOf(f.pcap), fdOf(owner)
	r.Conf, r.API = fdOf(f.conf), fdOf(f.api)
	f.daemon, err = f.forkDaemon(r, fdOf(user))
	if err != nil {
		ready.Close()
		return nil, daemonError(err, nameOf(user))
	}
	closeFile(f.logFile)
	closeFile(f.pcap)
	closeFile(f.conf)
	closeFile(f.api)
	return ready, nil
}

func (f *front) forkDaemon(r *role, user int) (pid int, err error) {
	env, err := r.environ()
	if err != nil {
		return 0, err
	}
	s := sys.ForkSpec{
		Path: selfExe, Argv: os.Args, Env: env, UserNS: -1, NewSession: true, DropBounding: true,
		Namespaces: syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
	}
	if user != 0 {
		s.UserNS = user
	}
	if !f.o.foreground() {
		s.Namespaces |= syscall.CLONE_NEWPID
	}
	for _, fd := range []int{r.Ready, r.Log, r.Pcap, r.Conf, r.API, r.Owner} {
		if fd != 0 {
			s.Files = append(s.Files, fd)
		}
	}
	return sys.ForkExec(s)
}

// becomeReady writes the PID file and releases the command. The PID is the one
// that the caller may signal: in foreground ours, which passes signals on.
func (f *front) becomeReady() error {
	if f.pidFile != nil {
		pid := f.daemon
		if f.o.foreground() {
			pid = os.Getpid()
		}
		if _, err := fmt.Fprintln(f.pidFile, pid); err != nil {
			return messagef("Couldn't write PID file %s: %s", f.o.PIDFile, sys.Reason(err))
		}
		f.pidFile.Close()
	}
	if f.goPipe != nil {
		f.terminal.give(f.stub)
		// A stub that is gone already shows up as an ended child.
		_, _ = f.goPipe.Write([]byte{1})
		f.goPipe.Close()
	}
	return nil
}
