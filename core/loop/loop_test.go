package loop

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

func newLoop(t testing.TB) *Loop {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// pipe makes a non-blocking pipe that is closed with the test.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close(p[0]); sys.Close(p[1]) })
	return p[0], p[1]
}

func write(t testing.TB, fd int, s string) {
	t.Helper()
	if n, errno := sys.Write(fd, []byte(s)); n != len(s) || errno != 0 {
		t.Fatalf("write %q: %d, %v", s, n, errno)
	}
}

// poll gives the events that are pending now.
func poll(t testing.TB, l *Loop) []Event {
	t.Helper()
	events, err := l.Wait(0)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// wantEvents checks tokens and bits of what is pending now.
func wantEvents(t testing.TB, l *Loop, when string, want ...Event) {
	t.Helper()
	got := poll(t, l)
	if len(got) != len(want) {
		t.Fatalf("%s: events %+v, want %+v", when, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: event %+v, want %+v", when, got[i], want[i])
		}
	}
}

// watched is a loop that waits for bits of the end r of a pipe.
func watched(t *testing.T, bits uint32) (l *Loop, r, w int) {
	t.Helper()
	l = newLoop(t)
	r, w = pipe(t)
	if errno := l.Add(r, bits, token); errno != 0 {
		t.Fatal(errno)
	}
	return l, r, w
}

var token = MakeToken(KindTCP, 0xabcd, 0x80000001)

func TestLevelTriggeredEventsRepeat(t *testing.T) {
	l, r, w := watched(t, In)
	wantEvents(t, l, "empty pipe")
	write(t, w, "x")
	wantEvents(t, l, "data", Event{token, In})
	wantEvents(t, l, "data still there", Event{token, In})
	if _, errno := sys.Read(r, make([]byte, 8)); errno != 0 {
		t.Fatal(errno)
	}
	wantEvents(t, l, "after reading")
}

func TestEdgeTriggeredEventsComeOnce(t *testing.T) {
	l, r, w := watched(t, In|Edge)
	write(t, w, "x")
	wantEvents(t, l, "data", Event{token, In})
	wantEvents(t, l, "same data")
	write(t, w, "y")
	wantEvents(t, l, "more data", Event{token, In})
	if errno := l.Mod(r, In|Edge, token+1); errno != 0 {
		t.Fatal(errno)
	}
	wantEvents(t, l, "after Mod", Event{token + 1, In})
}

func TestPeerShutdown(t *testing.T) {
	l := newLoop(t)
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close(p[0])
	if errno := l.Add(p[0], In|Rdh|Edge, token); errno != 0 {
		t.Fatal(errno)
	}
	if err := syscall.Shutdown(p[1], syscall.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, l, "half closed", Event{token, In | Rdh})
	sys.Close(p[1])
	wantEvents(t, l, "closed", Event{token, In | Rdh | Hup})
}

func TestDel(t *testing.T) {
	l, r, w := watched(t, In)
	write(t, w, "x")
	l.Del(r)
	wantEvents(t, l, "after Del")
	if errno := l.Mod(r, In, token); errno != syscall.ENOENT {
		t.Errorf("Mod after Del: %v, want ENOENT", errno)
	}
}

func TestMoreEventsThanOneTurnTakes(t *testing.T) {
	l := newLoop(t)
	const fds = maxEvents + 10
	for i := range uint32(fds) {
		r, w := pipe(t)
		write(t, w, "x")
		if errno := l.Add(r, In|Edge, MakeToken(KindTCP, 0, i)); errno != 0 {
			t.Fatal(errno)
		}
	}
	seen := map[uint32]bool{}
	for _, want := range []int{maxEvents, fds - maxEvents, 0} {
		events := poll(t, l)
		if len(events) != want {
			t.Errorf("%d events, want %d", len(events), want)
		}
		for _, ev := range events {
			seen[ev.Token.Index()] = true
		}
	}
	if len(seen) != fds {
		t.Errorf("events of %d descriptors, want %d", len(seen), fds)
	}
}

func TestWaitEndsAtDeadline(t *testing.T) {
	l := newLoop(t)
	const delay = int64(3 * time.Millisecond)
	poll(t, l)
	deadline := l.Now() + delay
	if events, err := l.Wait(deadline); err != nil || len(events) != 0 {
		t.Fatalf("Wait = %v, %v, want nothing", events, err)
	}
	if l.Now() < deadline {
		t.Errorf("Wait ended at %d, want not before %d", l.Now(), deadline)
	}
	before := l.Now()
	poll(t, l)
	if l.Now() < before {
		t.Errorf("the clock went back from %d to %d", before, l.Now())
	}
}

func TestWaitEndsWithAnEventBeforeTheDeadline(t *testing.T) {
	l, _, w := watched(t, In)
	for _, deadline := range []int64{NoDeadline, int64(time.Hour)} {
		write(t, w, "x")
		events, err := l.Wait(deadline)
		if err != nil || len(events) != 1 || events[0].Token != token {
			t.Errorf("Wait(%d) = %+v, %v, want the event of the pipe", deadline, events, err)
		}
	}
}

// TestPostFromManyGoroutines: everything posted runs once, on the loop's goroutine,
// in the order of each goroutine. Under -race it proves the locking.
func TestPostFromManyGoroutines(t *testing.T) {
	l := newLoop(t)
	const goroutines, posts = 8, 200
	var next [goroutines]int // not locked: only the loop's goroutine touches it
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for n := range posts {
				l.Post(func() {
					if next[g] != n {
						t.Errorf("goroutine %d: message %d runs as number %d", g, n, next[g])
					}
					next[g]++
				})
			}
		})
	}
	for ran := 0; ran < goroutines*posts; {
		events, err := l.Wait(NoDeadline)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != 1 || events[0].Token.Kind() != KindWake {
			t.Fatalf("events %+v, want the wake-up alone", events)
		}
		l.RunInbox()
		ran = 0
		for _, n := range next {
			ran += n
		}
	}
	wg.Wait()
	wantQuiet(t, l)
}

// wantQuiet runs the inbox if a kick is left over, after which nothing may come.
func wantQuiet(t testing.TB, l *Loop) {
	t.Helper()
	if len(poll(t, l)) > 0 {
		l.RunInbox()
	}
	wantEvents(t, l, "nothing posted")
}

func TestPostFromPosted(t *testing.T) {
	l := newLoop(t)
	var order []int
	l.Post(func() {
		order = append(order, 1)
		l.Post(func() { order = append(order, 3) })
		order = append(order, 2)
	})
	for range 2 {
		wantEvents(t, l, "posted", Event{MakeToken(KindWake, 0, 0), In})
		l.RunInbox()
	}
	wantEvents(t, l, "all done")
	if len(order) != 3 || order[0] != 1 || order[1] != 2 || order[2] != 3 {
		t.Errorf("ran in order %v, want 1 2 3", order)
	}
}

// TestPostAfterClose: the number of the eventfd may have a new owner by then.
func TestPostAfterClose(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	wakefd := l.wakefd
	l.Close()
	r, w := pipe(t)
	if w != wakefd { // a parallel user of descriptors took the number
		if err := syscall.Dup3(w, wakefd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer sys.Close(wakefd)
	}
	l.Post(func() {})
	l.Close()
	if n, errno := sys.Read(r, make([]byte, 8)); errno != syscall.EAGAIN {
		t.Errorf("Post wrote %d bytes to a foreign descriptor (%v)", n, errno)
	}
	if _, errno := sys.Write(wakefd, []byte("x")); errno != 0 {
		t.Errorf("the second Close closed a foreign descriptor: %v", errno)
	}
}

func TestWaitNoAllocation(t *testing.T) {
	l, _, w := watched(t, In)
	write(t, w, "x")
	f := func() {}
	l.Post(f)
	l.RunInbox()
	if n := testing.AllocsPerRun(100, func() {
		l.Post(f)
		if _, err := l.Wait(NoDeadline); err != nil {
			t.Fatal(err)
		}
		l.RunInbox()
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// TestUnhurriedSleepsAtOnce: trust in polling is gone for the next Wait.
func TestUnhurriedSleepsAtOnce(t *testing.T) {
	l, _, w := watched(t, In)
	write(t, w, "x")
	l.trust = maxTrust
	l.Unhurried()
	if events, err := l.Wait(NoDeadline); err != nil || len(events) != 1 {
		t.Fatalf("Wait = %v, %v, want the event of the pipe", events, err)
	}
	if l.trust > 1 || l.unhurried {
		t.Errorf("trust %d, unhurried %v, want polling to be learnt afresh", l.trust, l.unhurried)
	}
}
