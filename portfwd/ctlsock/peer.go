package ctlsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Why clients are refused.
var (
	errPeerUser = errors.New("client is another user")
	errPeerAway = errors.New("client is in another network namespace")
)

// peer is the process at the other end of a connection, as it was when it
// connected.
type peer struct {
	pid int
	uid uint32
}

// check refuses clients of other users than the one whose socket it is and root,
// whatever the mode of the file by now. Users that our user namespace does not
// know all look the same; the mode of the file, 0600, has told them apart.
func (p *peer) check(owner uint32) error {
	if p.uid != owner && p.uid != 0 {
		return fmt.Errorf("%w: UID %d", errPeerUser, p.uid)
	}
	return nil
}

// ownerOf is the user who made the socket in file.
func ownerOf(file *os.File) (uint32, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at control socket: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("look at control socket: %w", syscall.EINVAL)
	}
	return st.Uid, nil
}

func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return p, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { p, inner = peerOfFD(int(fd)) })
	return p, errors.Join(err, inner)
}

func peerOfFD(fd int) (p peer, err error) {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return p, fmt.Errorf("read peer credentials: %w", err)
	}
	return peer{pid: int(cred.Pid), uid: cred.Uid}, nil
}
