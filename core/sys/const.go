package sys

import "golang.org/x/sys/unix"

// Flags of send and receive calls (send(2), recv(2)).
const (
	MsgDontwait = unix.MSG_DONTWAIT
	MsgNosignal = unix.MSG_NOSIGNAL
	MsgPeek     = unix.MSG_PEEK
	MsgTrunc    = unix.MSG_TRUNC
)

// How Shutdown closes a socket (shutdown(2)).
const (
	ShutRd = unix.SHUT_RD
	ShutWr = unix.SHUT_WR
)
