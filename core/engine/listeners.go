package engine

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// ErrStopped is what changes of a run get that has ended.
var ErrStopped = errors.New("change run: it has ended")

// listenerBatch bounds how many listeners come or go in one turn of the loop, so
// that traffic does not wait for thousands of them.
const listenerBatch = 128

// AddListeners starts serving bound sockets, which belong to the engine from the
// call on. It returns once all are served; those it could not take, if any, are
// closed and their errors returned. Any goroutine but the loop's may call it, for
// a run that goes on or is about to begin. After the end all are closed and it
// gives ErrStopped.
func (e *Engine) AddListeners(list []config.Listener) error {
	var failed []error
	for len(list) > 0 {
		batch := list[:min(len(list), listenerBatch)]
		err := e.inLoop(func() {
			for _, l := range batch {
				if err := e.addListener(l); err != nil {
					sys.Close(l.FD)
					failed = append(failed, err)
				}
			}
		})
		if err != nil {
			for _, l := range list {
				sys.Close(l.FD)
			}
			return err
		}
		list = list[len(batch):]
	}
	return errors.Join(failed...)
}

// RemoveListeners closes listeners that the engine serves; their flows go on. When
// it returns, their ports are free. Any goroutine but the loop's may call it;
// after the end of the run it gives ErrStopped.
func (e *Engine) RemoveListeners(list []config.Listener) error {
	for batch := range slices.Chunk(list, listenerBatch) {
		err := e.inLoop(func() {
			for _, l := range batch {
				e.removeListener(l)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// inLoop has the loop run f and waits for it.
func (e *Engine) inLoop(f func()) error {
	ran := make(chan struct{}, 1)
	e.loop.Post(func() {
		f()
		ran <- struct{}{}
	})
	select {
	case <-ran:
		return nil
	case <-e.done:
	}
	select {
	case <-ran: // in the last turn
		return nil
	default:
		return ErrStopped
	}
}

// SetDNSHosts replaces the resolvers of the host that the DNS forward addresses
// stand for (config.Family.DNSHost); an invalid address: there is none. Flows that
// there are keep theirs. Any goroutine but the loop's may call it; after the end of
// the run it gives ErrStopped.
func (e *Engine) SetDNSHosts(v4, v6 netip.Addr) error {
	return e.inLoop(func() {
		e.nat.V4.DNSHost, e.nat.V6.DNSHost = packet.AddrFrom(v4), packet.AddrFrom(v6)
	})
}

func (e *Engine) addListener(l config.Listener) error {
	if l.Rule.Proto == fwd.TCP {
		return e.tcp.AddListener(l)
	}
	return e.udp.AddListener(l)
}

func (e *Engine) removeListener(l config.Listener) {
	if l.Rule.Proto == fwd.TCP {
		e.tcp.RemoveListener(l.FD)
		return
	}
	e.udp.RemoveListener(l.FD, e.loop.Now())
}
