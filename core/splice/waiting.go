package splice

import "github.com/pasta-net/pasta/core/sys"

const (
	// waitSlots datagrams, or as many bursts that the kernel put together, wait
	// for sockets at most.
	waitSlots = 32
)

// waiter is a datagram whose flow has no socket yet.
type waiter struct {
	slot    uint32
	gen     uint16
	len     int
	segment int
}

// waitingRoom is a ring of datagrams that wait, in order. Its memory is only touched
// as far as it is used.
type waitingRoom struct {
	list [waitSlots]waiter
	buf  []byte
	head int
	n    int
}

func newWaitingRoom(owner *UDP) waitingRoom {
	return waitingRoom{buf: sys.Slab[byte](owner, waitSlots*udpLen)}
}

func (w *waitingRoom) len() int { return w.n }

// add keeps a copy of payload for flow slot and tells whether there was room.
func (w *waitingRoom) add(slot uint32, gen uint16, payload []byte, segment int) bool {
	if w.n == waitSlots {
		return false
	}
	at := (w.head + w.n) % waitSlots
	w.list[at] = waiter{slot: slot, gen: gen, len: copy(w.buf[at*udpLen:(at+1)*udpLen], payload), segment: segment}
	w.n++
	return true
}

// first is the oldest; there must be one.
func (w *waitingRoom) first() *waiter { return &w.list[w.head] }

// payload is the oldest one's, valid until the next add after drop.
func (w *waitingRoom) payload() []byte { return w.buf[w.head*udpLen:][:w.list[w.head].len] }

// drop forgets the oldest.
func (w *waitingRoom) drop() {
	w.head = (w.head + 1) % waitSlots
	w.n--
}
