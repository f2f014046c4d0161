package rtnl

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// dumpAttempts bounds how often a dump is repeated when the kernel says that
// its tables changed meanwhile (NLM_F_DUMP_INTR). A host whose tables never rest
// (a router with full tables) must not keep us from starting, so the last
// result is then taken as it is.
const dumpAttempts = 5

// Conn is an rtnetlink socket in one network namespace.
type Conn struct {
	handle *nl.SocketHandle
}

// Open opens a socket in the network namespace of the calling thread. A caller
// that entered another namespace must be locked to its thread. The Conn stays
// in that namespace wherever its user moves.
func Open() (*Conn, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, &OpError{Op: "open", Target: "rtnetlink socket", Err: err}
	}
	// Extended messages tell which attribute the kernel dislikes; kernels
	// before 4.12 do not have them and errors are then shorter.
	if err := s.SetExtAck(true); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		s.Close()
		return nil, &OpError{Op: "enable extended messages of", Target: "rtnetlink socket", Err: err}
	}
	return &Conn{handle: &nl.SocketHandle{Socket: s}}, nil
}

// Close closes the socket.
func (c *Conn) Close() { c.handle.Close() }

// OpError is a request that the kernel refused.
type OpError struct {
	// Op is what was asked for ("add route") and Target on what.
	Op, Target string
	// Err holds the errno (errors.Is with a syscall.Errno) and, if the kernel
	// sent one, its extended message.
	Err error
}

// Error returns operation, target, errno text and the kernel's message.
func (e *OpError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Target, e.Err) }

// Unwrap returns the cause, an errno possibly with the kernel's message.
func (e *OpError) Unwrap() error { return e.Err }

// request sends one message of the given type and waits for its answer.
func (c *Conn) request(msgType, flags int, body []byte, want uint16) ([][]byte, error) {
	req := &nl.NetlinkRequest{
		NlMsghdr: unix.NlMsghdr{Type: uint16(msgType), Flags: uint16(unix.NLM_F_REQUEST | flags)},
		Sockets:  map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: c.handle},
	}
	req.AddRawData(body)
	return req.Execute(unix.NETLINK_ROUTE, want)
}

// change sends a message that the kernel only acknowledges.
func (c *Conn) change(msgType, flags int, body []byte) error {
	_, err := c.request(msgType, flags|unix.NLM_F_ACK, body, 0)
	return err
}

// dump lists all objects of one kind; want is the type of the answers.
func (c *Conn) dump(msgType int, body []byte, want uint16) (msgs [][]byte, err error) {
	for range dumpAttempts {
		msgs, err = c.request(msgType, unix.NLM_F_DUMP, body, want)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return msgs, err
		}
	}
	return msgs, nil
}
