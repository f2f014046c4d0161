package splice

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// bulkBytes carried at once show that a direction wants throughput rather than
	// short delays.
	bulkBytes = 64 << 10
	// mergeBytes is how much a source of bulk data has to hold before it wakes the
	// loop (SO_RCVLOWAT): waking for each segment costs more than carrying it
	// (make bench, loopback-tcp).
	mergeBytes = 256 << 10
	// mergeDelay bounds how long less than that may wait.
	mergeDelay = int64(time.Millisecond)
)

// merge has the source of direction s of c wake the loop less often. It is empty now.
func (h *TCP) merge(i uint32, c *conn, s int) {
	d := &c.dir[s]
	d.set(moved)
	if d.has(merged) || sys.SetInt(int(c.fd[s]), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, mergeBytes) != 0 {
		return
	}
	d.set(merged)
	h.listMerging(i, c)
	h.mergeAt = min(h.mergeAt, h.now+mergeDelay)
}

func (h *TCP) listMerging(i uint32, c *conn) {
	if !c.has(listed) {
		c.set(listed)
		h.merging = append(h.merging, i)
	}
}

// endMerging looks for sources that have not woken the loop for a while: what they
// hold, if anything, was too little for that.
func (h *TCP) endMerging() {
	n := len(h.merging)
	for _, i := range h.merging[:n] {
		c := &h.conns[i]
		if !c.has(listed) { // its slot was freed
			continue
		}
		c.clear(listed)
		for s := range c.dir {
			c.relax(s)
		}
		if !c.has(queued) {
			h.carry(i, c)
		}
		if c.state == open && (c.dir[0].has(merged) || c.dir[1].has(merged)) {
			h.listMerging(i, c)
		}
	}
	h.merging = append(h.merging[:0], h.merging[n:]...)
	h.mergeAt = loop.NoDeadline
	if len(h.merging) > 0 {
		h.mergeAt = h.now + mergeDelay
	}
}

// relax has the source of direction s wake the loop for every byte again, unless it
// has moved something since the last time.
func (c *conn) relax(s int) {
	d := &c.dir[s]
	if d.has(merged) && !d.has(moved) {
		d.clear(merged)
		d.set(readable)
		_ = sys.SetInt(int(c.fd[s]), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, 1)
	}
	d.clear(moved)
}
