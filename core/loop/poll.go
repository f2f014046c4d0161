package loop

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/sys"
)

const (
	// pollFor is how long Wait polls before it sleeps, when that is likely to pay:
	// sleeping and being woken costs more than this on a virtual machine (make
	// bench, rr).
	pollFor = 100 * time.Microsecond
	// looks is how often it looks between yields, each of which takes as long as two looks.
	looks = 8
	// soon is a wait, the cost of sleeping included, that polling would have
	// shortened.
	soon = 2 * pollFor
	// maxTrust bounds how many disappointments in a row it takes to stop polling.
	maxTrust = 4
	// notIdle is a wait too short for a guest that has nothing to do. Where more than one
	// in lateWeight+1 events comes so late after polling has ended, processors
	// are scarce, and shun short waits pass without polling.
	notIdle    = 3 * time.Millisecond
	lateWeight = 3
	lateLimit  = 40
	shun       = 1000
	// stolen is a round, of yielding and looks, that took too long: another process ran in it, for all of the
	// time that the kernel gives it, as likely as not.
	stolen       = 500 * time.Microsecond
	stolenWeight = 13
)

// await waits for events like sys.EpollWait, but polls for a moment first while
// events keep coming soon after each other. Every few looks it yields, so that whoever
// makes the next event gets the processor. After a few waits that were longer it
// no longer polls: an idle run, or one with an event now and then, only sleeps. Nor
// does it where processors are scarce: whoever is to make the next event needs
// the time that polling takes.
func (l *Loop) await(timeout time.Duration) (int, syscall.Errno) {
	if timeout == 0 {
		return sys.EpollWait(l.epfd, l.raw[:], 0)
	}
	start := time.Since(l.start)
	waited := time.Duration(0)
	if l.unhurried {
		l.unhurried, l.trust = false, min(l.trust, 0)
	}
	for l.trust > 0 && waited < pollFor && (timeout < 0 || waited < timeout) {
		sys.Yield()
		n, errno, found := l.look()
		before := waited
		waited = time.Since(l.start) - start
		l.looked(found, waited-before)
		if found {
			return n, errno
		}
	}
	if timeout > 0 {
		timeout = max(timeout-waited, 0)
	}
	n, errno := sys.EpollWait(l.epfd, l.raw[:], timeout)
	total := time.Since(l.start) - start
	l.learn(n > 0 && waited == 0 && total < soon)
	if n > 0 && waited > 0 && total < notIdle {
		l.cameLate(lateWeight)
	}
	return n, errno
}

// look looks for events a few times. Where there is a probe, only the first look is for any
// event, and the others are its own.
func (l *Loop) look() (n int, errno syscall.Errno, found bool) {
	for i := range looks {
		if i > 0 && l.probe != nil {
			found = l.probe()
		} else {
			n, errno = sys.EpollWait(l.epfd, l.raw[:], 0)
			found = n != 0 || errno != 0
		}
		if found {
			return n, errno, true
		}
	}
	return 0, 0, false
}

// Probe has the next Wait, should it poll, also call f, at most of its looks: whoever expects
// the next event from one descriptor can try that, and is spared a system call when it
// comes. When f tells that it did, Wait returns without events.
func (l *Loop) Probe(f func() bool) { l.probe = f }

// Unhurried has the next Wait sleep at once: what was handled in this turn is better
// handled in larger portions than sooner.
func (l *Loop) Unhurried() { l.unhurried = true }

// learn notes whether polling paid, or would have.
func (l *Loop) learn(paid bool) {
	switch {
	case paid:
		l.trust = min(l.trust+1, maxTrust)
	case l.trust > 0:
		l.trust--
	}
}

// looked notes a round of looks for events while polling, which took the time took. What it
// found after others had the processor for long would have come sooner asleep: who
// wakes up is served first, who yields comes last.
func (l *Loop) looked(found bool, took time.Duration) {
	switch {
	case took > stolen:
		l.cameLate(stolenWeight)
	case found:
		l.inTime()
	}
}

// inTime notes an event that polling found.
func (l *Loop) inTime() {
	l.learn(true)
	l.late = max(l.late-1, 0)
}

// cameLate notes an event that came soon, but only after polling had ended, or a round
// that others ran in, each by its weight.
func (l *Loop) cameLate(weight int) {
	if l.late += weight; l.late > lateLimit {
		l.late, l.trust = 0, -shun
	}
}
