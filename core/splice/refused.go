package splice

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// retryPause is how long to wait before a target that refused is asked again.
const retryPause = int64(10 * time.Millisecond)

// refused are connections whose targets are to be asked again: a service that has
// just been started may not listen yet when its port is published.
type refused struct {
	tries uint16   // for each connection; 0: none
	list  []uint32 // they have no second socket, and the first is not watched
	at    int64    // when they are asked again
}

func newRefused(owner *TCP, o Options) refused {
	r := refused{tries: uint16(int64(o.RetryFor) / retryPause), at: loop.NoDeadline}
	if r.tries > 0 {
		r.list = sys.Slab[uint32](owner, o.MaxFlows)[:0]
	}
	return r
}

// askAgain keeps c, whose target has given errno, for another try, and tells whether
// it gets one.
func (h *TCP) askAgain(i uint32, c *conn, errno syscall.Errno) bool {
	r := &h.refused
	if errno != syscall.ECONNREFUSED || c.tries >= r.tries {
		return false
	}
	c.tries++
	sys.Close(int(c.fd[1])) // leaves epoll by itself
	h.loop.Del(int(c.fd[0]))
	c.fd[1], c.state = -1, waiting
	c.clear(failed)
	for s := range c.dir {
		c.dir[s] = direction{pipe: noPipe} // what is there is told again
	}
	r.list = append(r.list, i)
	if r.at == loop.NoDeadline {
		r.at = h.now + retryPause
	}
	return true
}

// retryRefused asks all targets again.
func (h *TCP) retryRefused() {
	r := &h.refused
	r.at = loop.NoDeadline
	n := len(r.list)
	for k := range n {
		i := r.list[k]
		if !h.start(i, &h.conns[i]) { // or puts it on the list once more
			h.waiting = append(h.waiting, i)
		}
	}
	r.list = append(r.list[:0], r.list[n:]...)
}
