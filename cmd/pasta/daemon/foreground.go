package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/compat/service"
)

// Serve runs s in this process, in foreground, and gives the exit status: 0 when the
// run was to end, 1 after an error. It is the service.Runner of the program. Signals
// have their default action, but for SIGPIPE: a log that nobody reads must not end
// the run. Called once, from the main goroutine.
func Serve(s *service.Service) (exit int) {
	// What the kernel ties to a thread (the signal at the end of the parent, a user
	// namespace's rights) shall not move.
	runtime.LockOSThread()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	log, queue := newLogger(s.Level, time.Now(), []sink{stderrSink{}})
	defer queue.flush()
	r, err := start(s, log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run() }()
	if s.Until != nil {
		go func() {
			s.Until()
			ended <- nil
		}()
	}
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// start does everything up to readiness.
func start(s *service.Service, log *slog.Logger) (*run, error) {
	link, err := s.Open()
	if err != nil {
		return nil, err
	}
	g := guest{cfg: s.Config, stations: s.Stations, link: link, forwards: s.Forwards, freeBind: s.FreeBind, maxRules: s.MaxRules}
	r, err := g.wire(log)
	if err != nil {
		return nil, worded(err)
	}
	for _, newServer := range s.Servers {
		server, err := newServer(service.Run{Ports: r.ports, Engine: r.Engine, Log: log})
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, server)
	}
	for _, step := range []func() error{s.Confine, s.Ready} {
		if step == nil {
			continue
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r, nil
}
