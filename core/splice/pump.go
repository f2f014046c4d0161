package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// pump moves bytes of direction s until its source is empty, its destination full
// or its share of this turn, in bytes, used up.
func (h *TCP) pump(i uint32, c *conn, s, share int) {
	d := &c.dir[s]
	before := share
	for !d.has(done) {
		if d.held > 0 {
			if !h.drain(c, s) {
				return
			}
			continue
		}
		switch {
		case d.has(eof):
			if !c.dir[1-s].has(done) { // else carry closes both, which says the same
				_ = sys.Shutdown(int(c.fd[1-s]), syscall.SHUT_WR)
			}
			d.set(done)
			continue
		case !d.has(readable):
			h.leavePipe(d)
			if before-share >= bulkBytes {
				h.merge(i, c, s)
			}
			return
		case share <= 0:
			h.leavePipe(d)
			h.queue(i, c, &h.backlog)
			return
		case d.pipe == noPipe && !h.enterPipe(d):
			h.queueHungry(i, c)
			return
		}
		share -= h.fill(c, s)
	}
	h.leavePipe(d)
}

// drain moves what direction s holds to its destination and tells whether that took
// something.
func (h *TCP) drain(c *conn, s int) bool {
	d := &c.dir[s]
	if d.has(blocked) {
		return false
	}
	n, errno := h.pipes.all[d.pipe].drain(int(c.fd[1-s]), int(d.held))
	switch errno {
	case 0:
		d.held -= int32(n)
		h.Stats.Bytes += uint64(n)
	case syscall.EAGAIN:
		d.set(blocked)
		return false
	case syscall.EINTR:
	default: // the destination takes nothing any more
		c.set(failed)
		d.set(done)
	}
	return true
}

// fill moves what the source of direction s has into its empty pipe and returns
// how many bytes that was.
func (h *TCP) fill(c *conn, s int) int {
	d := &c.dir[s]
	p := &h.pipes.all[d.pipe]
	n, errno := p.fill(int(c.fd[s]), fillBytes)
	switch {
	case errno == 0 && n > 0:
		d.held = int32(n)
		if n >= bulkBytes {
			h.loop.Unhurried()
		}
		if n < int(p.slots) && !d.has(urgent|ending) {
			// That cannot have filled the pipe, so the source is empty, and of
			// what comes from now on there will be an event.
			d.clear(readable)
		}
	case errno == 0:
		d.set(eof)
	case errno == syscall.EINTR:
	case errno == syscall.EAGAIN && d.has(urgent):
		n = h.fillUrgent(c, s)
	case errno == syscall.EAGAIN:
		d.clear(readable)
	default: // what came before has been read
		c.set(failed)
		d.set(done)
		n = 0
	}
	return n
}

// fillUrgent moves one byte from a source with urgent data, before which splice(2)
// stops. It stays in the stream (RFC 6093), but is no longer urgent.
func (h *TCP) fillUrgent(c *conn, s int) int {
	d := &c.dir[s]
	_ = sys.SetInt(int(c.fd[s]), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1)
	n, errno := sys.Recv(int(c.fd[s]), h.urgent[:], sys.MsgDontwait)
	switch {
	case errno == syscall.EAGAIN:
		d.clear(urgent | readable)
		return 0
	case errno != 0 || n == 0: // told again by splice(2)
		d.clear(urgent)
		return 0
	}
	n, _ = sys.Write(int(h.pipes.all[d.pipe].w), h.urgent[:n])
	d.held = int32(max(n, 0))
	return n
}

// enterPipe gives d a pipe and tells whether there was one.
func (h *TCP) enterPipe(d *direction) bool {
	i, ok := h.pipes.take()
	d.pipe = i
	return ok
}

// leavePipe gives the pipe of d back.
func (h *TCP) leavePipe(d *direction) {
	switch {
	case d.pipe == noPipe:
		return
	case d.held == 0:
		h.pipes.put(d.pipe)
	default:
		h.pipes.discard(d.pipe)
		h.pipes.reserve() // while its descriptors are free
	}
	d.pipe, d.held = noPipe, 0
}

// queue puts c on a list of connections that go on later.
func (h *TCP) queue(i uint32, c *conn, list *[]uint32) {
	if !c.has(queued) {
		c.set(queued)
		*list = append(*list, i)
	}
}

// queueHungry has c try again later to get a pipe.
func (h *TCP) queueHungry(i uint32, c *conn) {
	h.queue(i, c, &h.hungry)
	h.retryAt = min(h.retryAt, h.now+pipePause)
}
