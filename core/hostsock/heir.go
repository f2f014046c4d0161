package hostsock

import (
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// Heir is one client of a UDP listener whose datagrams go to a socket of their own
// once that listener is closed. The kernel refuses all others then.
type Heir struct {
	// Local is the address that the client sent to, LocalScope the interface index
	// if it needs one, Port the listener's port and Device the interface that it
	// is bound to, if any.
	Local      packet.Addr
	LocalScope uint32
	Port       uint16
	Device     string
	// Client and ClientPort are the client's, ClientScope the interface index that
	// a link-local address needs.
	Client      packet.Addr
	ClientScope uint32
	ClientPort  uint16
}

// Connect binds fd, a new socket of the client's family in the listener's network
// namespace, to what the listener has, and connects it to the client. The listener
// must allow sharing its port (ShareForHeirs).
func (h *Heir) Connect(fd int) syscall.Errno {
	if h.Device != "" {
		if errno := sys.BindToDevice(fd, h.Device); errno != 0 {
			return errno
		}
	}
	if errno := ShareForHeirs(fd); errno != 0 {
		return errno
	}
	_ = sys.SetFreeBind(fd, sys.Family(h.Client)) // the listener may have had it
	local := sys.MakeSockAddr(h.Local, h.Port, h.LocalScope)
	if errno := sys.Bind(fd, &local); errno != 0 {
		return errno
	}
	client := sys.MakeSockAddr(h.Client, h.ClientPort, h.ClientScope)
	return sys.Connect(fd, &client)
}

// ShareForHeirs lets sockets that do so too share the port of fd. For a listener it is
// the last thing before its heirs connect and it is closed: until then nobody else
// may have the port.
func ShareForHeirs(fd int) syscall.Errno {
	return sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
}
