package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/sys"
)

// Unlisten tells that the listener fd, which shares its port by now (hostsock.Heir), is
// about to be closed. Its flows go on, each with a second socket that is connected to
// the client; those that get none end.
func (h *UDP) Unlisten(fd int) {
	h.Flush()
	h.table.All(func(i uint32) {
		if h.flows[i].client.Listener == fd && !h.inherit(i) {
			h.close(i)
		}
	})
}

// inherit has flow i do without its listener, and tells whether it can.
func (h *UDP) inherit(i uint32) bool {
	f := &h.flows[i]
	if f.fd[toTarget] < 0 {
		return false
	}
	fd, ok := takeSocket(h.sockets, &fwd.Target{Pif: h.pif, Addr: f.client.Addr}, syscall.SOCK_DGRAM)
	if !ok || fd < 0 {
		return false
	}
	prepareUDP(fd)
	heir := hostsock.Heir{
		Local: f.client.Local, Port: f.client.Port, Client: f.client.Addr, ClientPort: f.client.AddrPort,
	}
	if heir.Connect(fd) != 0 || h.loop.Add(fd, loop.In, h.token(i, toClient)) != 0 {
		sys.Close(fd)
		return false
	}
	f.fd[toClient], f.client.Listener = int32(fd), -1
	return true
}
