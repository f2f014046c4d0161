package vpnkit

import (
	"encoding/binary"
	"sync"
)

// inboxLen is how many bytes of frames may wait in an inbox.
const inboxLen = 256 << 10

// inbox takes frames from any goroutine for one that reads them. Its memory is there
// from the first frame on, and then stays.
type inbox struct {
	mu           sync.Mutex
	fresh, taken []byte // frames, each behind its length in two bytes
}

// put adds a frame, which is lost if there is no room. first: the reader has to be told.
func (b *inbox) put(frame []byte) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fresh == nil {
		b.fresh = make([]byte, 0, inboxLen)
	}
	first = len(b.fresh) == 0
	if len(b.fresh)+2+len(frame) > inboxLen {
		return false
	}
	b.fresh = binary.LittleEndian.AppendUint16(b.fresh, uint16(len(frame)))
	b.fresh = append(b.fresh, frame...)
	return first
}

// take gives all frames to the one reader that there is, valid until its next call.
func (b *inbox) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fresh, b.taken = b.taken[:0], b.fresh
	return b.taken
}

// nextFrame splits the first frame off what take gave.
func nextFrame(b []byte) (frame, rest []byte) {
	end := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:end:end], b[end:]
}
