package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/sys"
)

const (
	// pipeBytes is the size of a large pipe: the most that an ordinary user may
	// ask for (fs.pipe-max-size).
	pipeBytes = 1 << 20
	// maxLarge bounds the large pipes. A user's processes share 64 MiB of pipes
	// (fs.pipe-user-pages-soft); once they are spent, every new pipe of the user gets
	// two pages, those of other programs too. So half of it is left.
	maxLarge = 32
	// keepPipes is how many unused pipes stay open: one is in use at a time but for
	// directions that are stalled.
	keepPipes = 4
	// noPipe stands for no pipe.
	noPipe = ^uint32(0)
)

// pipe is one pipe. Its capacity is counted in slots, each of which holds one piece of
// a page or of a socket buffer, of one byte or of many.
type pipe struct {
	r, w  int32
	slots int32
	large bool
}

// pipes is a pool. Unused pipes are empty.
type pipes struct {
	all    []pipe
	unused []uint32 // open and not in use; the last one was used last
	closed []uint32 // places in all that had a pipe once
	opened int      // places in all that ever had one
	large  int
	// fdLimit is for the ends that are made.
	fdLimit hostsock.Limit
}

func newPipes(owner *TCP, limit int) pipes {
	return pipes{
		fdLimit: hostsock.ConnLimit(),
		all:     sys.Slab[pipe](owner, limit), unused: make([]uint32, 0, keepPipes), closed: sys.Slab[uint32](owner, limit)[:0],
	}
}

// take gives an empty pipe; ok is false if descriptors have run out.
func (p *pipes) take() (i uint32, ok bool) {
	if n := len(p.unused); n > 0 {
		i = p.unused[n-1]
		p.unused = p.unused[:n-1]
		return i, true
	}
	n := len(p.closed)
	switch {
	case n > 0:
		i = p.closed[n-1]
	case p.opened < len(p.all):
		i = uint32(p.opened)
	default:
		return noPipe, false
	}
	if !p.open(&p.all[i]) {
		return noPipe, false
	}
	if n > 0 {
		p.closed = p.closed[:n-1]
	} else {
		p.opened++
	}
	return i, true
}

// reserve sees to it that a pipe is open, in use or not. Without any, connections that
// have taken all descriptors could never end.
func (p *pipes) reserve() {
	if p.opened > len(p.closed) {
		return
	}
	if i, ok := p.take(); ok {
		p.put(i)
	}
}

// open makes a pipe, large if the user has room for that.
func (p *pipes) open(q *pipe) bool {
	r, w, errno := sys.Pipe()
	if errno != 0 {
		return false
	}
	if max(r, w) >= int(p.fdLimit) {
		sys.Close(r)
		sys.Close(w)
		return false
	}
	size := 0
	if p.large < maxLarge {
		if size, errno = sys.SetPipeSize(w, pipeBytes); errno == 0 {
			p.large++
		}
	}
	large := size > 0 && errno == 0
	if !large {
		if size, errno = sys.PipeSize(w); errno != 0 {
			size = sys.PageSize()
		}
	}
	*q = pipe{r: int32(r), w: int32(w), slots: int32(size / sys.PageSize()), large: large}
	return true
}

// put takes back an empty pipe.
func (p *pipes) put(i uint32) {
	if len(p.unused) < keepPipes && (p.all[i].large || len(p.unused) == 0) {
		p.unused = append(p.unused, i)
		return
	}
	p.discard(i)
}

// discard closes a pipe, whatever is in it.
func (p *pipes) discard(i uint32) {
	q := &p.all[i]
	sys.Close(int(q.r))
	sys.Close(int(q.w))
	if q.large {
		p.large--
	}
	*q = pipe{}
	p.closed = append(p.closed, i)
}

// close closes the unused pipes.
func (p *pipes) close() {
	for _, i := range p.unused {
		p.discard(i)
	}
	p.unused = p.unused[:0]
}

// fill moves up to n bytes from fd into q.
func (q *pipe) fill(fd, n int) (int, syscall.Errno) { return sys.Splice(fd, int(q.w), n) }

// drain moves up to n bytes from q to fd.
func (q *pipe) drain(fd, n int) (int, syscall.Errno) { return sys.Splice(int(q.r), fd, n) }
