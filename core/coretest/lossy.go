package coretest

import (
	"math/rand/v2"
	"syscall"

	"github.com/pasta-net/pasta/core/tap"
)

// Faults are probabilities between 0 and 1, per frame.
type Faults struct {
	Lose, Repeat, Reorder float64
}

// Lossy is a tap.Device that spoils the traffic of the device below: frames get
// lost, come twice, or come after the next one. The seed makes a run repeatable.
type Lossy struct {
	tap.Device
	toGuest, fromGuest Faults
	rng                *rand.Rand
	held               []byte // frame to the guest that waits for the next one
	late               [][]byte
	again              []byte
	// Lost, Repeated and Reordered count what was done, in both directions.
	Lost, Repeated, Reordered int
}

// NewLossy spoils dev.
func NewLossy(dev tap.Device, toGuest, fromGuest Faults, seed uint64) *Lossy {
	return &Lossy{Device: dev, toGuest: toGuest, fromGuest: fromGuest, rng: rand.New(rand.NewPCG(seed, 0))}
}

func (l *Lossy) roll(p float64, count *int) bool {
	if l.rng.Float64() >= p {
		return false
	}
	*count++
	return true
}

// Send implements tap.Device. A refused frame is not spoilt.
func (l *Lossy) Send(hdr, payload []byte) syscall.Errno {
	switch {
	case l.roll(l.toGuest.Lose, &l.Lost):
		return 0
	case l.held == nil && l.roll(l.toGuest.Reorder, &l.Reordered):
		l.held = append(append(make([]byte, 0, len(hdr)+len(payload)), hdr...), payload...)
		return 0
	}
	if errno := l.Device.Send(hdr, payload); errno != 0 {
		return errno
	}
	if l.roll(l.toGuest.Repeat, &l.Repeated) {
		_ = l.Device.Send(hdr, payload)
	}
	l.Flush()
	return 0
}

// Flush sends a frame that was held back for reordering.
func (l *Lossy) Flush() {
	if l.held != nil {
		_ = l.Device.Send(l.held, nil)
		l.held = nil
	}
}

// Recv implements tap.Device. Frames held back come out before EAGAIN does.
func (l *Lossy) Recv(b []byte) (int, syscall.Errno) {
	if l.again != nil {
		n := copy(b, l.again)
		l.again = nil
		return n, 0
	}
	for {
		n, errno := l.Device.Recv(b)
		switch {
		case errno != 0 && len(l.late) > 0:
			n = copy(b, l.late[0])
			l.late = l.late[1:]
			return n, 0
		case errno != 0:
			return n, errno
		case l.roll(l.fromGuest.Lose, &l.Lost):
		case l.roll(l.fromGuest.Reorder, &l.Reordered):
			l.late = append(l.late, append([]byte(nil), b[:n]...))
		default:
			if l.roll(l.fromGuest.Repeat, &l.Repeated) {
				l.again = append([]byte(nil), b[:n]...)
			}
			return n, 0
		}
	}
}
