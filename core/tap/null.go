package tap

import "syscall"

// Null is the link of a run without interface (--splice-only): nothing comes from
// it, and it is down for what is sent.
type Null struct{}

var _ Device = Null{}

// FD is -1: there is nothing to watch.
func (Null) FD() int { return -1 }

// Features are none.
func (Null) Features() Features { return Features{} }

// Recv gives EAGAIN.
func (Null) Recv([]byte) (int, syscall.Errno) { return 0, syscall.EAGAIN }

// Send gives EIO.
func (Null) Send(_, _ []byte) syscall.Errno { return syscall.EIO }

// Close does nothing.
func (Null) Close() {}
