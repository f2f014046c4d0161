package splice

import (
	"syscall"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// refusals tell clients in the namespace that their target refuses datagrams, with the
// ICMP message that the kernel would send if it were there. On the host that takes
// rights which ordinary users lack: clients there hear nothing.
type refusals struct {
	fds    [2]int // raw sockets in the clients' namespace: of IPv4, of IPv6; -1 for none
	batch  *sys.SendBatch
	packet [packet.MaxICMPError]byte
}

// newRefusals makes what tells clients on pif.
func newRefusals(pif fwd.Pif, sockets Sockets) refusals {
	r := refusals{fds: [2]int{-1, -1}, batch: sys.NewSendBatch(1, 1)}
	if pif == fwd.Splice && sockets != nil {
		r.fds = [2]int{sockets.Raw(syscall.AF_INET), sockets.Raw(syscall.AF_INET6)}
	}
	return r
}

// tell tells c that the port it sends to is unreachable (RFC 792, RFC 4443 section
// 3.1), and whether that was possible.
func (r *refusals) tell(c *fwd.Client) bool {
	fd, csumOff := r.fds[0], -1
	e := packet.ICMPError{
		Src: c.Local, Dst: c.Addr, Peer: c.Local, Proto: packet.ProtoUDP,
		Type: packet.ICMPUnreachable, Code: packet.ICMPCodePort,
	}
	if !c.Addr.Is4() {
		fd, csumOff = r.fds[1], packet.UDPCsumOff
		e.Type, e.Code = packet.ICMPv6Unreachable, packet.ICMPv6CodePort
	}
	if fd < 0 {
		return false
	}
	var head [packet.UDPLen]byte
	packet.PutUDP(head[:], c.AddrPort, c.Port, 0) // its ports are all that the client's kernel looks at
	n := packet.PutICMPError(r.packet[:], &e, head[:], nil, csumOff)
	to := sys.MakeSockAddr(c.Addr, 0, 0)
	r.batch.Reset()
	r.batch.Begin(&to)
	r.batch.Add(r.packet[:n])
	_, errno := r.batch.Send(fd, 0)
	return errno == 0
}

func (r *refusals) close() {
	for _, fd := range r.fds {
		if fd >= 0 {
			sys.Close(fd)
		}
	}
}
