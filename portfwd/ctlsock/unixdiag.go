package ctlsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// The request and answer of sock_diag(7) for one UNIX socket: struct nlmsghdr, then
// struct unix_diag_req, struct unix_diag_msg or struct nlmsgerr.
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
	nlHeaderLen      = 16
	unixRequestLen   = nlHeaderLen + 24
	// answerLen holds the answer without attributes, none of which are asked for.
	answerLen = 512
)

// errDiagAnswer is an answer that is none to the question.
var errDiagAnswer = errors.New("malformed answer of sock_diag")

// unixDiag knows the UNIX sockets in one network namespace. It asks for their cookies too
// (Linux 4.12): inode numbers are of 32 bits, and come again if somebody goes through them.
type unixDiag struct {
	mu  sync.Mutex // guards what follows
	fd  int
	seq uint32
}

// newUnixDiag opens what asks about the namespace of the calling thread, and sees whether
// there is an answer.
func newUnixDiag() (*unixDiag, error) {
	fd, errno := sys.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, netlinkSockDiag)
	if errno != 0 {
		return nil, fmt.Errorf("open sock_diag socket: %w", errno)
	}
	d := &unixDiag{fd: fd}
	if err := d.probe(); err != nil {
		sys.Close(fd)
		return nil, err
	}
	return d, nil
}

// probe asks about a socket that is there.
func (d *unixDiag) probe() error {
	fd, errno := sys.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if errno != 0 {
		return errno
	}
	defer sys.Close(fd)
	return d.has(fd)
}

// has tells whether socket fd is in the namespace.
func (d *unixDiag) has(fd int) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at connection: %w", err)
	}
	cookie, errno := sys.SocketCookie(fd)
	if errno != 0 {
		return fmt.Errorf("read cookie of connection (Linux 4.12): %w", errno)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	request := unixRequest(d.seq, uint32(st.Ino), cookie)
	if _, errno := sys.Send(d.fd, request[:], 0); errno != 0 {
		return fmt.Errorf("ask for a socket: %w", errno)
	}
	b := make([]byte, answerLen)
	for { // behind answers that an earlier error has left
		n, errno := sys.Recv(d.fd, b, 0)
		if errno != 0 {
			return fmt.Errorf("receive a socket: %w", errno)
		}
		if mine, err := parseUnixAnswer(b[:n], d.seq, uint32(st.Ino)); mine {
			return err
		}
	}
}

// unixRequest asks for the UNIX socket with an inode number and a cookie.
func unixRequest(seq, inode uint32, cookie uint64) (b [unixRequestLen]byte) {
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], unixRequestLen)
	ne.PutUint16(b[4:], sockDiagByFamily)
	ne.PutUint16(b[6:], syscall.NLM_F_REQUEST)
	ne.PutUint32(b[8:], seq)
	b[16] = syscall.AF_UNIX
	ne.PutUint32(b[20:], ^uint32(0)) // in any state
	ne.PutUint32(b[24:], inode)
	ne.PutUint32(b[32:], uint32(cookie))
	ne.PutUint32(b[36:], uint32(cookie>>32))
	return b
}

// parseUnixAnswer tells whether b is the answer to request seq, and if so, why the socket
// with the inode is not in the namespace.
func parseUnixAnswer(b []byte, seq, inode uint32) (mine bool, err error) {
	ne := binary.NativeEndian
	if len(b) < nlHeaderLen {
		return true, errDiagAnswer
	}
	msg := b[nlHeaderLen:]
	switch typ := ne.Uint16(b[4:]); {
	case ne.Uint32(b[8:]) != seq:
		return false, nil
	case typ == syscall.NLMSG_ERROR && len(msg) >= 4 && ne.Uint32(msg) != 0:
		errno := syscall.Errno(-int32(ne.Uint32(msg)))
		if errno == syscall.ENOENT || errno == syscall.ESTALE { // ESTALE: another one has that inode
			return true, errPeerAway
		}
		return true, fmt.Errorf("find socket of client: %w", errno)
	case typ == sockDiagByFamily && len(msg) >= 8 && ne.Uint32(msg[4:]) == inode:
		return true, nil
	}
	return true, errDiagAnswer
}
