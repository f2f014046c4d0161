package splice

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func TestPipesAreBounded(t *testing.T) {
	const limit = maxLarge + 5
	before := descriptors(t)
	p := newPipes(&TCP{}, limit)
	var taken []uint32
	for range limit {
		i, ok := p.take()
		if !ok {
			t.Fatalf("no pipe after %d of %d", len(taken), limit)
		}
		taken = append(taken, i)
	}
	if _, ok := p.take(); ok {
		t.Error("a pipe beyond the limit")
	}
	if p.large > maxLarge {
		t.Errorf("%d large pipes, want at most %d", p.large, maxLarge)
	}
	if n := descriptors(t); n != before+2*limit {
		t.Errorf("%d descriptors, want %d", n, before+2*limit)
	}
	for _, i := range taken {
		p.put(i)
	}
	if n := descriptors(t); n != before+2*len(p.unused) || len(p.unused) > keepPipes {
		t.Errorf("%d descriptors, %d unused pipes, want at most %d", n, len(p.unused), keepPipes)
	}
	p.close()
	if n := descriptors(t); n != before || p.large != 0 {
		t.Errorf("%d descriptors and %d large pipes are left, want %d and none", n, p.large, before)
	}
}

// TestSmallPipesGiveWay: where the user's pages were spent once, the pool does not
// keep what it got then.
func TestSmallPipesGiveWay(t *testing.T) {
	p := newPipes(&TCP{}, 4)
	p.large = maxLarge // as if so many were in use
	small, _ := p.take()
	another, _ := p.take()
	p.large = 0
	large, ok := p.take()
	if !ok || p.all[small].large || !p.all[large].large {
		netnstest.Lacks(t, "the user has no room for a large pipe: %+v", p.all)
	}
	p.put(large)
	p.put(small)
	p.put(another)
	if i, _ := p.take(); i != large || len(p.unused) != 0 {
		t.Errorf("pipe %d comes back and %d are unused, want the large one alone", i, len(p.unused))
	}
	p.put(large)
	p.close()
}

// TestPipesAreReused: what was used last is used next, so that its memory is warm.
func TestPipesAreReused(t *testing.T) {
	p := newPipes(&TCP{}, 2)
	defer func() { p.close() }()
	first, _ := p.take()
	p.put(first)
	second, ok := p.take()
	if !ok || first != second || p.opened != 1 {
		t.Errorf("pipe %d after %d, %d opened, want the same again", second, first, p.opened)
	}
	q := &p.all[second]
	if q.slots < 1 || q.r == q.w {
		t.Errorf("pipe %+v, want two descriptors and a number of slots", *q)
	}
	if n, errno := sys.Write(int(q.w), []byte("x")); n != 1 || errno != 0 {
		t.Errorf("write: %d, %v", n, errno)
	}
	p.discard(second) // with something in it
	if _, ok := p.take(); !ok || p.opened != 1 {
		t.Errorf("%d places used, want the closed one again", p.opened)
	}
	p.put(second)
}

// TestAPipeIsReserved: whoever else takes all descriptors, there is one pipe.
func TestAPipeIsReserved(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		p := newPipes(&TCP{}, 4)
		defer p.close()
		p.reserve()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Max: 0}); err != nil {
			t.Fatal(err)
		}
		p.reserve()
		i, ok := p.take()
		if !ok {
			t.Fatal("no pipe where there are no descriptors")
		}
		if _, ok := p.take(); ok {
			t.Fatal("a second pipe, though there are no descriptors")
		}
		p.put(i)
		if len(p.unused) != 1 {
			t.Errorf("%d pipes are kept, want the one", len(p.unused))
		}
	})
}
