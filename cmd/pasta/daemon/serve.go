package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns"
)

// server is the daemon's side of a run: a process in the target's user
// namespace, in the host's network namespace, with mount, IPC and UTS
// namespaces of its own, and in background a PID namespace.
type server struct {
	o     *Options
	r     *role
	log   *slog.Logger
	queue *logQueue
	// ready is the pipe to the front.
	ready *os.File
	// watch waits for the end of the namespace; nil if that does not matter.
	watch *netns.Watch
	// null is /dev/null.
	null *os.File
	// capture is the file for --pcap or nil. It is kept here because the data
	// path only knows its number: the garbage collector would close it.
	capture *os.File
}

// serve connects the namespace until the end of the run and gives the exit
// status.
func serve(o *Options, r *role) (exit int) {
	s := &server{o: o, r: r, ready: inherited(r.Ready, "ready"), capture: inherited(r.Pcap, o.PcapFile)}
	s.openLog()
	defer s.queue.flush()
	path, err := s.start()
	if err == nil {
		s.queue.flush()
		err = s.detach()
	}
	if err != nil {
		s.logLines(err)
		s.queue.flush()
	}
	if reportReady(s.ready, err == nil) != nil || err != nil {
		return 1 // and without a front nobody knows of us
	}
	if !o.foreground() {
		s.ready.Close()
	}
	return s.run(path)
}

// logLines logs a start-up error, which may have several lines.
func (s *server) logLines(err error) {
	for line := range strings.Lines(err.Error()) {
		s.log.Error(strings.TrimSuffix(line, "\n"))
	}
}

// start does everything up to readiness. Its errors are texts for the user.
func (s *server) start() (dataPath, error) {
	nameProcess()
	// What happens to the front before we are ready happens to us.
	if err := isolate.DieWith(syscall.SIGKILL); err != nil {
		return nil, err
	}
	var err error
	if s.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	ns, err := s.enterTarget()
	if err != nil {
		return nil, err
	}
	path, err := connect(s.o, s.log, ns, s.capture)
	if err != nil {
		return nil, err
	}
	if err := path.openControl(inherited(s.r.Conf, s.o.ConfPath)); err != nil {
		return nil, worded(err)
	}
	if err := path.openAPI(inherited(s.r.API, s.o.APISocket), s.o, s.r.Child); err != nil {
		return nil, worded(err)
	}
	// Sockets in the namespace may still have to be made and low ports bound.
	if err := isolate.Sandbox(isolate.CapSysAdmin|isolate.CapNetBindService, s.o.ChrootFallback); err != nil {
		return nil, messagef("%s\nFailed to sandbox process, exiting", worded(err))
	}
	return path, nil
}

// enterTarget gives a thread in the target network namespace, for the whole run,
// and starts watching that.
func (s *server) enterTarget() (*netns.Thread, error) {
	ns, err := netns.Open(s.r.Netns)
	if err != nil {
		return nil, openError(s.r.Netns, err)
	}
	defer ns.Close()
	thread, err := netns.NewThread(ns)
	if err != nil {
		return nil, messagef("Couldn't switch to pasta namespaces: %s", sys.Reason(err))
	}
	if s.o.Target.Spawn || s.o.Target.NoNetnsQuit {
		return thread, nil
	}
	s.watch, err = netns.NewWatch(s.r.Netns, inherited(s.r.Owner, "owner of namespace"))
	if err != nil {
		return nil, messagef("Couldn't watch %s: %s", s.r.Netns, sys.Reason(err))
	}
	return thread, nil
}

// detach makes us independent of the front, which is about to end, and releases
// the caller's standard streams. In foreground there is nothing to do.
func (s *server) detach() error {
	if s.o.foreground() {
		return nil
	}
	if err := isolate.DieWith(0); err != nil {
		return err
	}
	return isolate.ReplaceStdio(s.null)
}

// run moves packets until a signal, the end of the namespace or a fatal error.
// The end of the ready pipe tells the front that nothing is left to be done.
func (s *server) run(path dataPath) (exit int) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for range signals {
			path.Stop()
		}
	}()
	if s.watch != nil {
		go s.awaitEnd(path)
	}
	defer path.Close() // last: it takes long
	defer s.ready.Close()
	defer s.queue.flush()
	if err := path.Run(); err != nil {
		s.log.Error("Error on tap device, exiting", "err", err)
		return 1
	}
	return 0
}

// awaitEnd ends the run when the namespace is gone.
func (s *server) awaitEnd(path dataPath) {
	defer s.watch.Close()
	name := s.watch.Name()
	if err := s.watch.Wait(); err != nil {
		s.log.Warn(fmt.Sprintf("Couldn't watch namespace %s any more", name), "err", err)
		return
	}
	s.log.Info(fmt.Sprintf("Namespace %s is gone, exiting", name))
	path.Stop()
}

// openLog makes the daemon's logger, for standard error until that is detached
// and whatever else applies.
func (s *server) openLog() {
	sinks, err := s.o.sinks(inherited(s.r.Log, "log file"), s.r.Front)
	if s.r.Log == 0 && !s.o.foreground() && s.o.Level < LevelDebug {
		// Without a system log, as in most containers, nothing is missing.
		if system, err := dialSyslog(syslogPath, s.o.Name); err == nil {
			sinks = append(sinks, system)
		}
	}
	s.log, s.queue = newLogger(s.o.slogLevel(), s.r.Start, sinks)
	if err != nil {
		s.log.Warn("Couldn't use log file: " + sys.Reason(err))
	}
}
