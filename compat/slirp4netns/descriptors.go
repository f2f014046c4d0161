package slirp4netns

import (
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// readyByte is what the reader of the ready descriptor waits for.
const readyByte = '1'

// descriptors are those that the caller has passed, or says it has: one that is not
// open is noFD, and never becomes one of ours that gets its number.
type descriptors struct {
	ready, exit int
	// hungUp: the exit descriptor was not open, which ends the run at once.
	hungUp bool
}

// takeDescriptors looks at the descriptors of --ready-fd and --exit-fd.
func takeDescriptors(ready, exit int) *descriptors {
	d := &descriptors{ready: ready, exit: exit}
	if !sys.IsInherited(d.ready) {
		d.ready = noFD
	}
	if !sys.IsInherited(d.exit) {
		d.exit, d.hungUp = noFD, exit != noFD
	}
	return d
}

// keep has the descriptors stay in this process.
func (d *descriptors) keep() {
	for _, fd := range []int{d.ready, d.exit} {
		if fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// tellReady tells the caller that everything is done. That nobody listens is no error.
func (d *descriptors) tellReady() error {
	if d.ready != noFD {
		_, _ = sys.Write(d.ready, []byte{readyByte})
		sys.Close(d.ready)
	}
	return nil
}

// awaitHangup waits until the other end of the exit descriptor is gone.
func (d *descriptors) awaitHangup() {
	if !d.hungUp {
		_ = sys.AwaitHangup(d.exit) // one that cannot be waited for is gone, too
	}
}
