package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
)

// noListener is what a flow has for a listener that is closed.
const noListener = -1

// Unlisten tells that the listener fd, which shares its port by now (hostsock.Heir), is
// about to be closed. Its flows go on, each with a second socket that is connected to
// the client. Where sockets have run out, flows get theirs a little later; meanwhile
// the kernel refuses their clients, too.
func (h *UDP) Unlisten(fd int) {
	h.Flush()
	h.table.All(func(i uint32) {
		if c := &h.flows[i].client; c.Listener == fd {
			c.Listener = noListener
			h.inherit(i)
		}
	})
}

// resumeOrphans gives flows sockets that lost their listener when there were none.
func (h *UDP) resumeOrphans() {
	if !h.orphans {
		return
	}
	h.orphans = false
	h.table.All(func(i uint32) {
		if f := &h.flows[i]; f.client.Listener == noListener && f.fd[toClient] < 0 {
			h.inherit(i)
		}
	})
}

// inherit gives flow i, whose listener is gone, a socket to its client, or ends it if
// that is not possible.
func (h *UDP) inherit(i uint32) {
	f := &h.flows[i]
	fd, ok := takeSocket(h.sockets, &fwd.Target{Pif: h.pif, Addr: f.client.Addr}, syscall.SOCK_DGRAM, h.share.Limit(h))
	if !ok {
		h.orphans = true
		return
	}
	f.fd[toClient] = int32(fd) // the flow's, also if it ends
	if fd < 0 || f.fd[toTarget] < 0 || !h.connectHeir(i, fd) {
		h.close(i)
	}
}

// connectHeir connects fd to the client of flow i.
func (h *UDP) connectHeir(i uint32, fd int) bool {
	prepareUDP(fd)
	c := &h.flows[i].client
	heir := hostsock.Heir{Local: c.Local, Port: c.Port, Client: c.Addr, ClientPort: c.AddrPort}
	return heir.Connect(fd) == 0 && h.loop.Add(fd, loop.In, h.token(i, toClient)) == 0
}
