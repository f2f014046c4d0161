package portfwd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// The requests and the answer of sock_diag(7): struct nlmsghdr, then
// struct inet_diag_req_v2, or inet_diag_req, or inet_diag_msg.
const (
	sockDiagByFamily = 20
	nlHeaderLen      = 16
	diagRequestLen   = nlHeaderLen + 56
	// tcpDiag is an older request, of TCP alone. Its answer has both families: one walk
	// through the kernel's tables instead of two.
	tcpDiag           = 18
	tcpDiagRequestLen = nlHeaderLen + 60
	// diagPort is where struct inet_diag_msg has the local port, in network order.
	diagPort   = 4
	diagMsgLen = 72
	// diagBufLen holds what one receive gives at most (netlink_dump: 32 KiB).
	diagBufLen = 32 << 10
)

// errDiag is an answer that is no list of sockets.
var errDiag = errors.New("malformed answer")

// diag lists sockets by netlink.
type diag struct {
	fd  int
	seq uint32
	req [tcpDiagRequestLen + maxFilterLen]byte
	buf []byte
}

// newDiag opens a socket in the calling thread's network namespace, which it
// keeps asking about.
func newDiag() (*diag, error) {
	fd, errno := sys.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, netlinkSockDiag)
	if errno != 0 {
		return nil, fmt.Errorf("open sock_diag socket: %w", errno)
	}
	return &diag{fd: fd, buf: make([]byte, diagBufLen)}, nil
}

// netlinkSockDiag is NETLINK_SOCK_DIAG.
const netlinkSockDiag = 4

func (d *diag) close() { sys.Close(d.fd) }

func (d *diag) list(s source, wanted, into *PortSet) error {
	if s.proto == syscall.IPPROTO_TCP && s.family == syscall.AF_INET6 {
		return nil // the answer for IPv4 had them
	}
	d.seq++
	if _, errno := sys.Send(d.fd, d.request(s, wanted), 0); errno != 0 {
		return fmt.Errorf("ask for sockets: %w", errno)
	}
	for {
		n, errno := sys.Recv(d.fd, d.buf, 0)
		if errno != 0 {
			return fmt.Errorf("receive list of sockets: %w", errno)
		}
		done, err := parseDiag(d.buf[:n], d.seq, into)
		if done || err != nil {
			return err
		}
	}
}

// request gives the request for the sockets of s on ports that are wanted, if that is
// not nil.
func (d *diag) request(s source, wanted *PortSet) []byte {
	b := d.req[:]
	kind, length := sockDiagByFamily, diagRequestLen
	if s.proto == syscall.IPPROTO_TCP {
		kind, length = tcpDiag, tcpDiagRequestLen
	}
	clear(b[:length])
	ne := binary.NativeEndian
	if kind == tcpDiag {
		ne.PutUint32(b[68:], 1<<s.state)
	} else {
		b[16], b[17] = s.family, s.proto
		ne.PutUint32(b[20:], 1<<s.state)
	}
	if wanted != nil {
		length += putFilter(b[length:], wanted)
	}
	ne.PutUint32(b[0:], uint32(length))
	ne.PutUint16(b[4:], uint16(kind))
	ne.PutUint16(b[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	ne.PutUint32(b[8:], d.seq)
	return b[:length]
}

// parseDiag adds the local ports of the sockets in one datagram of the answer to
// the request seq. done tells that the list is complete.
func parseDiag(b []byte, seq uint32, into *PortSet) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= nlHeaderLen {
		length := int(ne.Uint32(b))
		if length < nlHeaderLen || length > len(b) {
			return false, errDiag
		}
		msg := b[nlHeaderLen:length]
		if ne.Uint32(b[8:]) == seq {
			switch ne.Uint16(b[4:]) {
			case syscall.NLMSG_DONE:
				return true, nil
			case syscall.NLMSG_ERROR:
				return false, diagError(msg)
			case sockDiagByFamily, tcpDiag:
				if len(msg) < diagMsgLen {
					return false, errDiag
				}
				into.Add(binary.BigEndian.Uint16(msg[diagPort:]))
			}
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return false, nil
}

// diagError is the errno of struct nlmsgerr.
func diagError(msg []byte) error {
	if len(msg) < 4 {
		return errDiag
	}
	return fmt.Errorf("list sockets: %w", syscall.Errno(-int32(binary.NativeEndian.Uint32(msg))))
}
