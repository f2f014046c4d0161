package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

// stopLimit bounds how long the daemon may take to end when asked to: it
// delivers what is under way, for a second at most.
const stopLimit = 1500 * time.Millisecond

// dieLimit is how long a signal to ourselves may take to kill us. Only process 1
// of a PID namespace survives that.
const dieLimit = time.Second

// exitStatus is a wait status as a shell shows it.
func exitStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// catchSignals asks for the signals that end us. SIGINT and SIGHUP that the
// caller ignores stay ignored.
func (f *front) catchSignals() {
	f.signals = make(chan os.Signal, 8)
	signal.Notify(f.signals, syscall.SIGTERM, syscall.SIGQUIT)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(f.signals, s)
		}
	}
}

// awaitReady waits for the daemon's readiness message. done means that there is
// nothing to go on with.
func (f *front) awaitReady(pipe *os.File) (exit int, done bool) {
	ready := make(chan error, 1)
	f.served = make(chan struct{})
	go func() {
		ready <- readReady(pipe)
		_, _ = pipe.Read(make([]byte, 1)) // the end of file
		close(f.served)
	}()
	for {
		select {
		case err := <-ready:
			if err != nil && !errors.Is(err, errReported) {
				fmt.Fprintln(os.Stderr, err)
			}
			return 1, err != nil
		case s := <-f.signals:
			// A command that does not run yet cannot decide about a
			// signal from the terminal.
			return f.endBy(s.(syscall.Signal)), true
		}
	}
}

// supervise waits for the end of the command or of the daemon, and for signals.
func (f *front) supervise() int {
	ended := make(chan int)
	go watchChildren(ended)
	for {
		select {
		case pid := <-ended:
			ws, ok := reap(pid)
			switch {
			case !ok:
			case pid == f.stub:
				f.terminal.takeBack()
				f.stopDaemon()
				return f.commandStatus(ws)
			case pid == f.daemon:
				return exitStatus(ws)
			}
		case s := <-f.signals:
			sig := s.(syscall.Signal)
			if f.stub == 0 || sig == syscall.SIGTERM || !signalFromTerminal() {
				return f.endBy(sig)
			}
			f.interruptCommand(sig)
		}
	}
}

// watchChildren sends the process IDs of ended children until there are none.
// Whoever receives one reaps that child: until then the kernel gives the ID to no
// other process, and a signal to it can hit nobody else. An ID may come twice.
func watchChildren(ended chan<- int) {
	for {
		pid, err := sys.AwaitChild()
		if err != nil {
			return
		}
		ended <- pid
	}
}

// reap collects an ended child; false if that was done before.
func reap(pid int) (ws syscall.WaitStatus, ok bool) {
	got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
	return ws, err == nil && got == pid
}

// interruptCommand completes what the terminal began. As process 1 of its PID
// namespace the command is immune to signals that it does not handle, so the
// default action, to end, has to come from outside: otherwise Ctrl-C would have
// no effect on most programs.
func (f *front) interruptCommand(sig syscall.Signal) {
	if !f.o.Target.NoPIDNS && defaultsTo(f.stub, sig) && syscall.Kill(f.stub, syscall.SIGKILL) == nil {
		f.interrupt = sig
	}
}

// commandStatus is the exit status for the end of the command: if we killed it
// in the name of a signal from the terminal, that of this signal.
func (f *front) commandStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() && f.interrupt != 0 {
		return 128 + int(f.interrupt)
	}
	return exitStatus(ws)
}

// endBy ends the run because of a signal to us: SIGTERM and SIGQUIT are a proper
// end, the others kill us by their default action. A command goes on.
func (f *front) endBy(sig syscall.Signal) int {
	f.stopDaemon()
	if sig == syscall.SIGTERM || sig == syscall.SIGQUIT {
		return 0
	}
	signal.Reset(sig)
	if err := syscall.Kill(os.Getpid(), sig); err == nil {
		time.Sleep(dieLimit)
	}
	return 128 + int(sig)
}

// stopDaemon ends the daemon and waits a moment until it has done its work and
// its files are complete. A further signal to us tells it to hurry. We do not wait
// for the end of the process, which takes tens of milliseconds because a network
// device goes with it. Should the daemon hang, our own end kills it.
func (f *front) stopDaemon() {
	if f.daemon == 0 || syscall.Kill(f.daemon, syscall.SIGTERM) != nil {
		return
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	for {
		select {
		case <-f.signals:
			_ = syscall.Kill(f.daemon, syscall.SIGTERM) // it may have ended
		case <-f.served:
			return
		case <-limit.C:
			return
		}
	}
}
