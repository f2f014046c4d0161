package udp

import (
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// Splicer carries the datagrams of listeners on one pif without frames.
type Splicer interface {
	// Datagram passes on payload, one datagram or several of segment bytes. It
	// is valid until Flush, with which each batch ends. now is the loop's clock.
	Datagram(from fwd.Client, t fwd.Target, payload []byte, segment int, now int64)
	// Flush sends what is pending.
	Flush()
	// Unlisten tells that the listener fd is about to be closed: its flows go on
	// without it.
	Unlisten(fd int)
}

// SetSplice has s carry what clients of listeners on pif send past the tap. Without
// it such datagrams are dropped.
func (h *Handler) SetSplice(pif fwd.Pif, s Splicer) { h.splice[pif] = s }

// divert keeps datagram m of the batch off the tap if it may not or need not go there,
// and tells whether it did.
func (h *Handler) divert(index int32, c *client, m int, control *sys.Control, now int64) bool {
	l := h.listeners.Value(uint32(index))
	path, dst := h.nat.Path(l.pif, c.addr, c.local, l.targetAddr)
	if path == fwd.PathTap {
		return false
	}
	s := h.splice[l.pif]
	switch {
	case path == fwd.PathRefused, s == nil, c.port == 0:
		h.Stats.HostDrops[packet.DropAddress]++
	case h.in.Truncated(m):
		h.Stats.HostDrops[packet.DropShort]++
	default:
		from := fwd.Client{
			Listener: l.fd, Family: l.family, Port: l.port, Addr: c.addr, Local: c.local, AddrPort: c.port,
		}
		t := fwd.Target{Pif: l.pif.Other(), Addr: dst, Port: l.target}
		s.Datagram(from, t, h.in.Payload(m), control.Segment, now)
	}
	return true
}
