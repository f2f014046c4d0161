package rootlesskit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"

	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/sys"
)

// Keys of what the parent tells the child.
const (
	socketKey      = "pasta.socketpath"
	transparentKey = "pasta.source-ip-transparent"
)

const (
	// hello is what the child says first.
	hello = 'p'
	// maxSockets bounds the sockets of one answer, below what SCM_RIGHTS takes (253).
	maxSockets = 128

	requestLen, answerLen = 3, 2
)

// request asks for sockets.
type request struct {
	// family is AF_INET or AF_INET6, typ SOCK_STREAM or SOCK_DGRAM.
	family, typ int
	// n is how many, at most maxSockets.
	n int
}

// errRequest is a request that makes no sense.
var errRequest = errors.New("malformed request")

func (r *request) encode() []byte { return []byte{byte(r.family), byte(r.typ), byte(r.n)} }

// decodeRequest is the inverse of encode; b has requestLen bytes.
func decodeRequest(b []byte) (request, error) {
	r := request{family: int(b[0]), typ: int(b[1]), n: int(b[2])}
	switch {
	case r.family != syscall.AF_INET && r.family != syscall.AF_INET6,
		r.typ != syscall.SOCK_STREAM && r.typ != syscall.SOCK_DGRAM,
		r.n == 0 || r.n > maxSockets:
		return r, errRequest
	}
	return r, nil
}

// sendSockets answers a request. The sockets stay the caller's.
func sendSockets(conn *net.UnixConn, fds []int, errno syscall.Errno) error {
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix(binary.BigEndian.AppendUint16(nil, uint16(errno)), oob, nil)
	return err
}

// childSockets are sockets of the child's namespace, made by the child driver at the
// other end of conn. It is a netns.Source.
type childSockets struct {
	conn *net.UnixConn
	log  *slog.Logger
}

// Make asks for n sockets. Once that fails, there never are any more.
func (c childSockets) Make(family, typ, n int) ([]int, error) {
	fds, errno, err := c.ask(&request{family: family, typ: typ, n: min(n, maxSockets)})
	switch {
	case errors.Is(err, net.ErrClosed): // by us, at the end
		return nil, syscall.EAFNOSUPPORT
	case err != nil:
		c.log.Error("The child of ports is gone, published ports lead nowhere", "err", err)
		return nil, syscall.EAFNOSUPPORT
	case errno != 0:
		kept, _ := withinLimit(fds)
		return kept, errno
	}
	return withinLimit(fds)
}

// withinLimit keeps those of the sockets that connections may have.
func withinLimit(fds []int) (kept []int, err error) {
	limit := hostsock.ConnLimit()
	for _, fd := range fds {
		fd, errno := limit.Check(fd, 0)
		if errno != 0 {
			err = errno
			continue
		}
		kept = append(kept, fd)
	}
	return kept, err
}

// ask sends a request and receives its answer.
func (c childSockets) ask(r *request) (fds []int, errno syscall.Errno, err error) {
	if _, err := c.conn.Write(r.encode()); err != nil {
		return nil, 0, fmt.Errorf("ask for sockets: %w", err)
	}
	b, oob := make([]byte, answerLen), make([]byte, syscall.CmsgSpace(4*maxSockets))
	got, oobLen, flags, _, err := c.conn.ReadMsgUnix(b, oob)
	switch {
	case err == nil && got == 0:
		err = io.ErrUnexpectedEOF
	case err == nil && (got < answerLen || flags&syscall.MSG_CTRUNC != 0):
		err = errors.New("malformed answer")
	}
	fds, oobErr := rights(oob[:oobLen])
	if err = errors.Join(err, oobErr); err != nil {
		closeAll(fds)
		return nil, 0, fmt.Errorf("receive sockets: %w", err)
	}
	return fds, syscall.Errno(binary.BigEndian.Uint16(b)), nil
}

// Raw gives none: no service in the child needs to be told about refused datagrams
// in another way than its socket does.
func (c childSockets) Raw(int) int { return -1 }

// rights takes the descriptors out of control messages.
func rights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		list, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, list...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		sys.Close(fd)
	}
}
