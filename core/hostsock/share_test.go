package hostsock

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/sys"
)

// holder has open sockets, the oldest first.
type holder struct{ fds []int }

func (h *holder) Sockets() int { return len(h.fds) }

func (h *holder) Recycle() bool {
	if len(h.fds) == 0 {
		return false
	}
	sys.Close(h.fds[0])
	h.fds = h.fds[1:]
	return true
}

// fill makes sockets until that takes an old one's place, and tells how many there are.
func (h *holder) fill(t *testing.T, s *Share) int {
	t.Helper()
	t.Cleanup(func() {
		for h.Recycle() {
		}
	})
	for {
		n := len(h.fds)
		fd, errno := s.Socket(h, syscall.AF_INET, 0)
		if errno != 0 {
			t.Fatalf("socket %d: %v", n, errno)
		}
		if h.fds = append(h.fds, fd); len(h.fds) == n {
			return n
		}
	}
}

// A kind of flows gets its own part, whoever has the rest.
func TestShare(t *testing.T) {
	base := coretest.FirstFree(t)
	share := func(own, most int) *Share {
		return &Share{common: Limit(base + 10), all: Limit(base + 20), own: own, most: most}
	}
	bounded, first, second := &holder{}, &holder{}, &holder{}
	if n := bounded.fill(t, share(1, 4)); n != 4 {
		t.Errorf("one that may have 4 has %d", n)
	}
	if n := first.fill(t, share(2, 100)); n != 6 {
		t.Errorf("%d in the common part, want the 6 that are left", n)
	}
	if n := second.fill(t, share(3, 100)); n != 3 {
		t.Errorf("%d beyond the common part, want its own 3", n)
	}
	if n := lowest(t); n != base+13 {
		t.Errorf("descriptors below %d are in use, want them below %d", n, base+13)
	}
	if _, errno := (&Share{own: 1, most: 1}).Socket(&holder{}, syscall.AF_INET, 0); errno != syscall.EMFILE {
		t.Errorf("beyond everything: %v, want %v", errno, syscall.EMFILE)
	}
}

// Sockets that a kind was given while connections had the common part do not cost it new
// ones when they are the oldest.
func TestOldestBeyondCommonPart(t *testing.T) {
	base := coretest.FirstFree(t)
	s, flows := &Share{common: Limit(base + 4), all: Limit(base + 8), own: 2, most: 100}, &holder{}
	var conns [4]int
	for i := range conns {
		conns[i], _ = sys.Placeholder()
	}
	for range 2 {
		fd, errno := s.Socket(flows, syscall.AF_INET, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		flows.fds = append(flows.fds, fd)
	}
	for _, fd := range conns {
		sys.Close(fd)
	}
	if n := flows.fill(t, s); n != 6 {
		t.Errorf("%d flows, want 2 beyond the common part and 4 in it", n)
	}
}

// Listeners, which have the lowest numbers, leave datagram flows more than their own part.
func TestShareBesideListeners(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 1024
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) })
	const listeners, left = 700, 960 - 700
	for n := coretest.FirstFree(t); n < listeners; n++ {
		fd, errno := sys.Placeholder()
		if errno != 0 {
			t.Fatal(errno)
		}
		t.Cleanup(func() { sys.Close(fd) })
	}
	share, flows := NewShare(UDP), &holder{}
	if n := flows.fill(t, &share); n < left/4 || n > left/2 {
		t.Errorf("%d flows beside %d listeners, want a quarter to a half of the %d that are left", n, listeners, left)
	}
}

// What connections leave is enough for the own parts of all others, and what these
// leave is enough for connections.
func TestPartsFit(t *testing.T) {
	own := 0
	for k, p := range kinds {
		own += p.own
		if Kind(k) == Bypass { // from either side
			own += p.own
		}
	}
	if own > keptParts {
		t.Errorf("own parts are %d, kept are %d", own, keptParts)
	}
	conns := ConnLimit()
	for k := range kinds {
		if s := NewShare(Kind(k)); s.common >= conns || conns >= s.all || s.own < 1 || s.most < s.own {
			t.Errorf("share %+v with connections below %d", s, conns)
		}
	}
}
