package ctlsock

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// MaxClients bounds how many clients are served at a time. More of them wait until
	// one leaves: whoever serves has to bound the time of each, and to have it in
	// Listener.Waiting while there is nothing to do but to wait for it.
	MaxClients = 32
	// acceptPause is how long to wait after a client could not be accepted.
	acceptPause = 5 * time.Second
)

// Serve has serve talk to each client that may have a say, in a goroutine of its own,
// until ctx ends: then their connections are closed, and so is l. It returns when all
// clients are gone.
func (l *Listener) Serve(ctx context.Context, log *slog.Logger, serve func(conn *net.UnixConn, pid int)) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	places := make(chan struct{}, MaxClients)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		conn, err := l.accept(ctx, log)
		if err != nil {
			return
		}
		clients.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			if pid, err := l.Admit(conn); err == nil {
				serve(conn, pid)
			} else {
				log.Warn("Refused configuration client", "err", err)
			}
		})
	}
}

// accept waits for the next client. The error is that of ctx.
func (l *Listener) accept(ctx context.Context, log *slog.Logger) (*net.UnixConn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err == nil {
			return conn, nil
		}
		if ctx.Err() == nil { // out of descriptors, say
			log.Warn("Couldn't accept configuration client", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(acceptPause):
		}
	}
}
