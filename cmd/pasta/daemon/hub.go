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

// ServeHub runs h in this process, in foreground, until it can serve no more guests,
// and gives the exit status. It is the service.HubRunner of the program. Signals have
// their default action, but for SIGPIPE: a log that nobody reads must not end the run.
func ServeHub(h *service.Hub) (exit int) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	log, queue := newLogger(h.Level, time.Now(), []sink{stderrSink{}})
	defer queue.flush()
	serve := func(g *service.Guest) error {
		defer runtime.GC() // the memory of its data path goes back to the kernel
		return attach(g, log)
	}
	if err := h.Serve(serve, log); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// attach runs a data path for g alone.
func attach(g *service.Guest, log *slog.Logger) error {
	r, err := (&guest{cfg: g.Config, link: g.Link, stations: g.Stations}).wire(log)
	if err != nil {
		g.Link.Device.Close()
		return worded(err)
	}
	defer r.Close()
	if g.Started != nil {
		g.Started(r.Engine)
	}
	return r.Run()
}
