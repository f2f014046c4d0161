package sys

import "golang.org/x/sys/unix"

// Flags of send and receive calls (send(2), recv(2)).
const (
	MsgDontwait = unix.MSG_DONTWAIT
	MsgNosignal = unix.MSG_NOSIGNAL
	MsgMore     = unix.MSG_MORE
	MsgPeek     = unix.MSG_PEEK
)

// ShutWr has Shutdown close the direction from us (shutdown(2)).
const ShutWr = unix.SHUT_WR

// TCPNotsentLowat is the socket option that bounds unsent data on a TCP socket below
// its send buffer (tcp(7), net.ipv4.tcp_notsent_lowat).
const TCPNotsentLowat = unix.TCP_NOTSENT_LOWAT

// BindAddressNoPort is the socket option that puts off the choice of a port from
// bind to connect (ip(7), IP_BIND_ADDRESS_NO_PORT; sockets of IPv6 take it, too).
const BindAddressNoPort = unix.IP_BIND_ADDRESS_NO_PORT
